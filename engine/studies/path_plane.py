"""The plane of a curve's own bends: through A, the end and the bend furthest from their line.

With one bend the whole curve lies in it. With more, the curve drawn is its orthogonal projection,
and how far it leaves the plane is said. Axes are in units of the distance from A to the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch

from engine.errors import LandscapeError
from engine.landscape import Span, basins, default_threshold
from engine.landscape.curve import projected
from engine.landscape.grid import Extent, square_around
from engine.program import Program
from engine.studies.evaluation import Evaluation
from engine.studies.path_curves import Curved
from engine.studies.plane import NAMES, PlaneStudy
from engine.studies.tiles import Tile

END_NAMES = {"b": "B", "pi_b": "pi_b"}
MARGIN = 0.3  # on each side of the curve and its bends, as a share of what they take
DRAWN = 201  # points of the curve that is drawn
ON_THE_LINE = "The bend lies on the straight line between the ends, so the three span no plane."


@dataclass(frozen=True)
class PathPlane:
    """The plane of one curve, or why there is none.

    Args:
        curved: the curve.
        study: the plane as tiles; None where there is none.
        third: which model of the span, with the two ends, spans the plane.
        problem: why there is no plane.
    """

    curved: Curved
    study: PlaneStudy | None
    third: int
    problem: str | None = None

    @staticmethod
    def lay_out(program: Program, curved: Curved) -> PathPlane:
        """Return the tiles of the plane; the spec's extent, or a square around all there is."""
        products = curved.products
        # NaN where the training went on past what float32 holds: no bend is furthest then.
        if not bool(products.isfinite().all()):
            return PathPlane(curved, None, 1, "A bend holds NaN or infinite weights: no plane.")
        third = 1 + int(np.argmax(_off(curved)))
        models = curved.span.models
        span = Span(NAMES, (models[0], models[-1], models[third]))
        try:
            around = _extent(curved, third)
        except LandscapeError:
            return PathPlane(curved, None, third, ON_THE_LINE)
        options = replace(curved.options.loading, extent=curved.options.extent or around)
        try:
            study = PlaneStudy.lay_out(program, span, options)
        except LandscapeError as error:
            return PathPlane(curved, None, third, str(error))
        if study.plane.degenerate:
            return PathPlane(curved, None, third, ON_THE_LINE)
        renamed = {
            field: tuple(_renamed(tile, curved.end) for tile in getattr(study, field))
            for field in ("corner_tiles", "grid_tiles")
        }
        return PathPlane(curved, replace(study, **renamed), third)

    @property
    def tiles(self) -> tuple[Tile, ...]:
        """What is to be evaluated."""
        return () if self.study is None else self.study.tiles

    def known(self) -> dict[str, object]:
        """Return the grid, where everything lies on it, and the curve that is drawn."""
        if self.study is None:
            return {"problem": self.problem}
        drawn, off = self._drawn()
        every = torch.eye(len(self.curved.span.models), dtype=torch.float64)
        bends, away = projected(every[1:-1], self.curved.products, self.third)
        return {
            **_with_names(self.study.geometry(), self.curved.end),
            "through": self.third,
            "bends": bends.tolist(),
            "bends_off": away.tolist(),
            "curve": drawn.tolist(),
            "curve_off": float(off.max()),
        }

    def finished(self, evaluation: Evaluation, straight_top: float) -> PathPlane:
        """Return the plane with its values.

        Args:
            evaluation: whose cache holds the tiles.
            straight_top: the largest loss on the straight line, for the basins' threshold.
        """
        if self.study is None:
            return self
        study = self.study.finished(evaluation.cache, evaluation, straight_top)
        return replace(self, study=_with_basins(study, straight_top))

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the grid's axes and values, named after the end."""
        if self.study is None:
            return {}
        end = self.curved.end
        found = self.study.arrays()
        labels = found.pop("basin_labels")
        own = {name.replace("plane_", f"plane_{end}_"): values for name, values in found.items()}
        return own | {f"basin_labels_{end}": labels}

    def summary(self) -> dict[str, object]:
        """Return the geometry, the checks and the basins."""
        if self.study is None:
            return {"plane": self.known(), "basins": None}
        found, end = self.study.summary(), self.curved.end
        plane, basins = found["plane"], found["basins"]
        assert isinstance(plane, Mapping)
        assert isinstance(basins, Mapping)
        checked = {**self.known(), **_with_names(plane, end)}
        return {"plane": checked, "basins": _with_names(basins, end)}

    def _drawn(self) -> tuple[np.ndarray, np.ndarray]:
        places = np.linspace(0, 1, DRAWN)
        return projected(self.curved.coefficients(places), self.curved.products, self.third)


def _renamed(tile: Tile, end: str) -> Tile:
    """Return a tile under a key that tells the planes of two curves apart."""
    name, _, rest = tile.key.partition("-")
    return replace(tile, key=f"{name}-{end}-{rest}")


def _off(curved: Curved) -> np.ndarray:
    known = curved.known()["bends"]
    assert isinstance(known, list)
    return np.array([bend["off_line"] for bend in known])


def _extent(curved: Curved, third: int) -> Extent:
    """Return a square around the ends, the bends and the curve, with a margin."""
    every = torch.eye(len(curved.span.models), dtype=torch.float64)
    rows = torch.cat([every, curved.coefficients(np.linspace(0, 1, DRAWN))])
    points, _ = projected(rows, curved.products, third)
    return square_around([(float(u), float(v)) for u, v in points], MARGIN)


def _with_basins(study: PlaneStudy, straight_top: float) -> PlaneStudy:
    """Return the study with the basins of the two ends: a Bézier curve's bend is not on it."""
    assert study.values is not None
    assert study.corners is not None
    u, v = study.plane.u, study.plane.v
    losses: dict[str, float] = dict(zip(NAMES, study.corners["loss"].tolist(), strict=True))
    ends = {name: losses[name] for name in NAMES[:2]}
    try:
        threshold, rule = default_threshold(ends.values(), straight_top)
    except LandscapeError as error:
        return replace(study, found=None, rule=str(error))
    places = {name: study.plane.positions[name] for name in ends}
    grid = study.values["loss"].reshape(len(v), len(u))
    found = basins(grid, u, v, places, threshold, own=ends)
    return replace(study, found=found, rule=rule.replace("from A to B", "between them"))


def _with_names(found: Mapping[str, object], end: str) -> dict[str, object]:
    """Return a plane's summary with A, the end and the bend where `PlaneStudy` has A, B, π(B)."""
    own = ("A", END_NAMES[end], "bend")
    names: dict[str, str] = dict(zip(NAMES, own, strict=True))
    return {
        key: {
            "|".join(names.get(part, part) for part in str(k).split("|")): v for k, v in of.items()
        }
        if isinstance(of, Mapping) and key != "measured"
        else of
        for key, of in found.items()
    }
