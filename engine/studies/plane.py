"""The plane through A, B and π(B) inside a comparison: tiles, corners, basins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from engine.errors import LandscapeError
from engine.landscape import (
    Basins,
    Plane,
    PlaneChecks,
    Span,
    basins,
    check_plane,
    default_threshold,
    evaluate_model,
    geometry_names,
    make_plane,
    plain,
)
from engine.landscape.plans import plan_for
from engine.program import Program
from engine.studies.options import CompareOptions
from engine.studies.plane_sketch import Sketch, basins_note
from engine.studies.tiles import Tile, TileCache, coarse_first, gather, split_into_tiles

if TYPE_CHECKING:
    from engine.studies.evaluation import Evaluation

SPLIT = "test"
NAMES = ("A", "B", "pi_b")


@dataclass(frozen=True)
class PlaneStudy:
    """A plane as tiles; after `finished`, with its values.

    Args:
        plane: the grid and its geometry.
        models: A, B and π(B).
        corner_tiles, grid_tiles: the three models themselves; the grid, coarse points first,
            where all of it is evaluated.
        extent: (u from, u to, v from, v to) in units of ‖B − A‖.
        mode: of `CompareOptions.plane_mode`.
        values: per grid point, once finished.
        corners: per model, once finished.
        corner_difference: the largest difference between a corner and its model evaluated on
            its own, outside the plane.
        found: the basins, once finished; None where no threshold can tell them.
        rule: how the basins' threshold was chosen, or why there is none.
        checks: what is measured on the plane's formed points, once finished.
        sketch: where the values come from, once finished, if the mode is not "full".
    """

    plane: Plane
    models: tuple[Mapping[str, Tensor], ...]
    corner_tiles: tuple[Tile, ...]
    grid_tiles: tuple[Tile, ...]
    extent: tuple[float, float, float, float]
    mode: str
    values: Mapping[str, np.ndarray] | None = None
    corners: Mapping[str, np.ndarray] | None = None
    corner_difference: float = float("nan")
    found: Basins | None = None
    rule: str = ""
    checks: PlaneChecks | None = None
    sketch: Sketch | None = None

    @staticmethod
    def lay_out(program: Program, span: Span, options: CompareOptions) -> PlaneStudy:
        """Return the tiles of the plane; trained parameters alone count in its geometry."""
        plane = make_plane(
            *span.models,
            resolution=(options.plane_points, options.plane_rows or options.plane_points),
            extent=options.extent,
            names=geometry_names(program),
        )
        grid: tuple[Tile, ...] = ()
        if options.plane_mode == "full":
            order = coarse_first(len(plane.v), len(plane.u))
            grid = split_into_tiles("plane", plane.span, plane.coefficients, SPLIT, order)
        return PlaneStudy(
            plane,
            span.models,
            split_into_tiles("corners", plane.span, plane.corners, SPLIT),
            grid,
            options.extent,
            options.plane_mode,
        )

    @property
    def tiles(self) -> tuple[Tile, ...]:
        """Corners first, then the grid."""
        return self.corner_tiles + self.grid_tiles

    def finished(
        self,
        cache: TileCache,
        evaluation: Evaluation,
        naive_top: float,
        sketch: Sketch | None = None,
    ) -> PlaneStudy:
        """Return the study with the values of its tiles, its check and its basins.

        Args:
            naive_top: the largest loss on the line from A to B, for the basins' threshold.
            sketch: the plane where not all of its grid was evaluated.
        """
        values = gather(self.grid_tiles, cache) if sketch is None else dict(sketch.found.values)
        corners = gather(self.corner_tiles, cache)
        work = evaluation.work
        own = [
            evaluate_model(
                work.program,
                model,
                work.data[SPLIT],
                reset=work.renewed,
                should_stop=evaluation.should_stop,
                device=work.device,
                # Another precision is off by more than the plane may be: it is measured apart.
                plan=plain if work.precision == "exact" else plan_for(work.precision),
                tf32=work.tf32,
            ).loss.item()
            for model in self.models
        ]
        levels: dict[str, float] = dict(zip(NAMES, corners["loss"].tolist(), strict=True))
        try:
            threshold, rule = default_threshold(levels.values(), naive_top)
        except LandscapeError as error:
            found, rule = None, str(error)
        else:
            u, v = self.plane.u, self.plane.v
            grid = values["loss"].reshape(len(v), len(u))
            found = basins(grid, u, v, self.plane.positions, threshold, own=levels)
        return replace(
            self,
            values=values,
            corners=corners,
            corner_difference=float(np.abs(corners["loss"] - np.array(own)).max()),
            found=found,
            rule=rule,
            checks=check_plane(self.plane, self.models, geometry_names(work.program)),
            sketch=sketch,
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the grid's axes, its values [V, U] and the basins' labels."""
        assert self.values is not None
        shape = (len(self.plane.v), len(self.plane.u))
        arrays = {f"plane_{SPLIT}_{name}": v.reshape(shape) for name, v in self.values.items()}
        arrays |= {"plane_u": self.plane.u, "plane_v": self.plane.v}
        arrays |= {} if self.sketch is None else self.sketch.arrays(shape, SPLIT)
        labels = np.zeros(shape, dtype=np.int64) if self.found is None else self.found.labels
        return arrays | {"basin_labels": labels}

    def geometry(self) -> dict[str, object]:
        """Return the grid and where the models lie on it."""
        plane = self.plane
        return {
            "split": SPLIT,
            "mode": self.mode,
            "resolution": len(plane.u),
            "rows": len(plane.v),
            "extent": list(self.extent),
            "positions": {name: list(plane.positions[name]) for name in NAMES},
            "unit": plane.u_norm,
            "distances": dict(plane.distances),
            "angle_degrees": plane.angle_degrees,
            "orthonormality": plane.orthonormality,
            "degenerate": plane.degenerate,
            "estimate": None if self.sketch is None else self.sketch.summary(),
        }

    def summary(self) -> dict[str, object]:
        """Return the geometry, the checks and the basins."""
        assert self.corners is not None
        assert self.checks is not None
        corners = dict(zip(NAMES, self.corners["loss"].tolist(), strict=True))
        checks = {
            "corners": corners,
            "corner_difference": self.corner_difference,
            "measured": asdict(self.checks),
        }
        return {"plane": {**self.geometry(), **checks}, "basins": self._basins()}

    def _basins(self) -> dict[str, object]:
        found = self.found
        if found is None:
            return {"threshold": None, "threshold_rule": self.rule, "count": None}
        return {
            **basins_note(self.sketch),
            "threshold": found.threshold,
            "threshold_rule": self.rule,
            "count": found.count,
            "basin_of": dict(found.basin_of),
            "passes": dict(found.passes),
        }
