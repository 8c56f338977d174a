"""A plane that was not evaluated at every point: its arrays and what a summary says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from engine.landscape.progressive import (
    FULL,
    P95_SHARE,
    QUANTITIES,
    SAMPLED,
    Estimate,
    Known,
    StopReason,
)
from engine.studies.options import CompareOptions
from engine.studies.plane_design import Design
from engine.studies.plane_sample import PlaneSample

ESTIMATE_NOTE = (
    "Basins and passes are read off an estimated plane: they are estimates, no evaluated values."
)


@dataclass(frozen=True)
class Sketch:
    """What rounds of points have shown of a plane.

    Attributes:
        design: which points.
        options: of the comparison.
        sample: the drawn sample, or None.
        known, found: what was evaluated, and the plane that follows.
        rounds: how many there were.
        work: of all evaluations, in points on all data.
        reason: why it stopped; None while it goes on.
    """

    design: Design
    options: CompareOptions
    sample: PlaneSample | None
    known: Known
    found: Estimate
    rounds: int
    work: float
    reason: StopReason | None

    @property
    def estimated(self) -> bool:
        """Whether any value of the drawn grid is an estimate."""
        return self.design.grid is not None or not bool(self.known.has_full.all())

    def flat(self) -> dict[str, np.ndarray]:
        """Return what is known of every grid point, [V · U] each."""
        found = self.found
        on_grid = self.design.grid is None
        no = np.zeros(len(found.interpolation), dtype=np.int8)
        return {
            **{name: found.values[name] for name in QUANTITIES},
            "error": found.error,
            "error_interpolation": found.interpolation,
            "error_sampling": found.sampling,
            "evaluated": self.known.evaluated if on_grid else no,
        }

    def arrays(self, shape: tuple[int, int], split: str) -> dict[str, np.ndarray]:
        """Return the arrays that a result has beside those of the values.

        Args:
            shape: (V, U).
            split: whose losses they are.
        """
        flat = self.flat()
        named = {f"plane_{split}_{n}": flat[n] for n in flat if n.startswith("error")}
        arrays = {n: v.reshape(shape) for n, v in named.items()}
        arrays["plane_evaluated"] = flat["evaluated"].reshape(shape)
        if self.design.grid is None:
            return arrays
        places, full = self.known.places, self.known.full
        arrays |= {"scatter_u": places[:, 0], "scatter_v": places[:, 1]}
        return arrays | {f"scatter_{split}_{name}": full[name] for name in QUANTITIES}

    def summary(self) -> dict[str, object]:
        """Return what a summary says of the estimate."""
        kinds, options = self.known.evaluated, self.options
        progressive = self.design.mode == "progressive"
        return {
            "stop_reason": None if self.reason is None else self.reason.value,
            "stop_sentence": None if self.reason is None else self._sentence(self.reason),
            "points": len(self.found.interpolation),
            "points_full": int((kinds == FULL).sum()),
            "points_sample": int((kinds == SAMPLED).sum()),
            "sample": None if self.sample is None else self.sample.count,
            "sample_of": None if self.sample is None else self.sample.total,
            "correction": self.found.correction,
            "error_median": self.found.quantile(0.5),
            "error_p95": self.found.quantile(0.95),
            "accuracy": options.plane_accuracy if progressive else None,
            "accuracy_p95": P95_SHARE * options.plane_accuracy if progressive else None,
            "seconds": options.plane_seconds,
            "rounds": self.rounds,
            "work": self.work,
        }

    def _sentence(self, reason: StopReason) -> str:
        median, high = (100 * self.found.quantile(share) for share in (0.5, 0.95))
        kinds = self.known.evaluated
        points = f"{int((kinds == FULL).sum())} points were evaluated on all data"
        if self.sample is not None:
            points += f", {int((kinds == SAMPLED).sum())} on {self.sample.count} samples alone"
        if not self.estimated:
            return f"{reason.sentence} The plane is exact."
        return (
            f"{reason.sentence} {points}; the estimated error of the drawn losses is "
            f"{median:.2g} % in the median and {high:.2g} % at the 95th percentile of all points, "
            "those on all data without any."
        )


def basins_note(sketch: Sketch | None) -> Mapping[str, object]:
    """Return what a summary's basins say of where they come from."""
    estimated = sketch is not None and sketch.estimated
    return {"estimated": estimated, "note": ESTIMATE_NOTE if estimated else None}
