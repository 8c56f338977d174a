"""Every choice that changes the numbers of a comparison, in one frozen value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from engine.errors import SpecError
from engine.landscape.plans import PRECISIONS
from engine.studies.plane_options import ACCURACY, SOBOL_POINTS, check_plane_options

STATISTICS = ("interpolate", "reset", "repair")


@dataclass(frozen=True)
class CompareOptions:
    """What to compare two checkpoints on, and how finely.

    Args:
        data: name of a data set or path of a file (`engine.data.load_dataset`).
        train_split, test_split: the splits behind the train and test numbers.
        samples: at most how many images are drawn from each split, None for all.
        data_seed: of the draw.
        mean, std: normalisation per channel; None takes the data set's own.
        seed: of the matching's visiting orders and random starts.
        restarts: starts of the matching; the first is anchored, further ones are random.
        max_sweeps: the most sweeps of one start.
        line_points: λ values per edge, at least 3 and odd, so that λ = ½ is among them.
        plane_points: grid points along u, at least 2; 0 leaves the plane out.
        extent: of the plane, (u from, u to, v from, v to) in units of ‖B − A‖.
        reset: recompute BatchNorm statistics at each point; None where the model has any.
        statistics: of the channels at each point: `interpolate` like weights, `reset` those of
            BatchNorm, or `repair`: REPAIR (`engine.repair.points`); None is as `reset` says.
        reset_samples: at most how many training images, drawn from the split's, for either.
        precision: how points are computed: `exact`, `tf32` or `fast` (`engine.landscape.plans`).
        plane_mode: which points of the plane are evaluated (`PLANE_MODES`): "full", every point of
            the grid; "progressive", as many as the accuracy asks for; "sobol", scattered points.
        plane_rows: grid points along v, at least 2; None takes as many as along u.
        plane_accuracy: where a progressive plane stops: the median of its points' estimated
            relative errors, 0 to 1; their 95th percentile may be five times as large. 0 goes on
            until every point is evaluated.
        plane_seconds: or after this time, whichever is first; None sets no time.
        plane_sobol: how many scrambled Sobol points, a power of two from 64 to 4096.
        family: choices that a state dict does not show (`engine.families.recognise`).

    Raises:
        SpecError: a number of points, the precision or the statistics are not possible, or only
            one of mean and std is given.
    """

    data: str = "mnist"
    train_split: str = "train"
    test_split: str = "test"
    samples: int | None = 2000
    data_seed: int = 0
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    seed: int = 0
    restarts: int = 1
    max_sweeps: int = 100
    line_points: int = 25
    plane_points: int = 25
    extent: tuple[float, float, float, float] = (-0.5, 1.5, -0.5, 1.5)
    reset: bool | None = None
    reset_samples: int = 1000
    statistics: str | None = None
    precision: str = "exact"
    plane_mode: str = "full"
    plane_rows: int | None = None
    plane_accuracy: float = ACCURACY
    plane_seconds: float | None = None
    plane_sobol: int = SOBOL_POINTS
    family: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        if self.line_points < 3 or self.line_points % 2 == 0:
            raise SpecError(
                f"line_points={self.line_points} is not possible: give an odd number of at least "
                "3, so that the midpoint is among the points."
            )
        if self.plane_points < 0 or self.plane_points == 1:
            raise SpecError(
                f"plane_points={self.plane_points} is not possible: give at least 2 points per "
                "axis, or 0 for no plane."
            )
        if self.precision not in PRECISIONS:
            raise SpecError(
                f"precision={self.precision!r} is not possible: choose one of "
                f"{', '.join(PRECISIONS)}."
            )
        check_plane_options(self)
        if self.statistics not in (None, *STATISTICS):
            raise SpecError(
                f"statistics={self.statistics!r} is not possible: choose one of "
                f"{', '.join(STATISTICS)}."
            )
        if self.reset is not None and self.statistics not in (None, STATISTICS[self.reset]):
            raise SpecError(
                f"reset={self.reset} and statistics={self.statistics!r} contradict one another; "
                "give one of the two."
            )
        if (self.mean is None) != (self.std is None):
            raise SpecError("mean and std belong together; give both or neither.")
