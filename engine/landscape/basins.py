"""Basins of a plane: regions under a threshold, and the lowest pass between two models.

A basin is a connected region of grid points whose loss is under the threshold, joined along
the grid's rows and columns (4 neighbours; a path through a diagonal would slip between two
high points). The lowest pass between two models is the smallest possible largest loss on a
path over the grid: the threshold at which their basins would join. A model between grid points
is joined to the points of the grid square around it. NaN and infinite points belong to no basin
and lie on no path. A slice can show that two models are connected; it cannot rule it out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
from numpy.typing import ArrayLike

from engine.errors import LandscapeError

# Models count as joined where a path rises by less than this share of the naive barrier.
BARRIER_SHARE = 0.1


@dataclass(frozen=True)
class Basins:
    """The basins of a plane under one threshold.

    Attributes:
        threshold: a point is in a basin where its loss is below this, in nats.
        count: number of basins on the grid, with a model in them or not.
        labels: basin of every grid point from 1, or 0 for none, int64 [V, U].
        basin_of: basin of each model; 0 where it is in none, or outside the grid.
        passes: lowest pass between each pair of models, keys such as "A|B", in nats; infinite
            where no path of finite points joins them, NaN where one is outside the grid or its own
            loss is NaN.
    """

    threshold: float
    count: int
    labels: np.ndarray
    basin_of: Mapping[str, int]
    passes: Mapping[str, float]


def basins(
    losses: ArrayLike,
    u: ArrayLike,
    v: ArrayLike,
    positions: Mapping[str, tuple[float, float]],
    threshold: float,
    *,
    own: Mapping[str, float] | None = None,
) -> Basins:
    """Return the basins of a plane and the passes between its models.

    Args:
        losses: mean loss at every grid point, [V, U].
        u, v: the axes, ascending, [U] and [V].
        positions: (u, v) of each model.
        threshold: loss under which a point is in a basin, in nats.
        own: each model's own loss; a pass is never below it. None leaves it out.

    Raises:
        LandscapeError: the losses do not fit the axes, or the threshold is NaN.
    """
    from scipy import ndimage  # a third of a second, for those who look for basins

    grid, us, vs = (np.asarray(values, dtype=np.float64) for values in (losses, u, v))
    if grid.shape != (len(vs), len(us)):
        raise LandscapeError(
            f"Losses of shape {grid.shape} do not fit {len(vs)} rows and {len(us)} columns."
        )
    if math.isnan(threshold):
        raise LandscapeError("The threshold of a basin is NaN; give a loss in nats.")
    levels = {name: (own or {}).get(name, -math.inf) for name in positions}
    around = {name: _around(us, vs, *place) for name, place in positions.items()}
    under = np.isfinite(grid) & (grid < threshold)
    labels = np.zeros(grid.shape, dtype=np.int64)
    ndimage.label(under, output=labels)
    count = int(labels.max(initial=0))
    basin_of = {}
    for name, cells in around.items():
        inside = sorted((grid[cell], int(labels[cell])) for cell in cells if labels[cell])
        basin_of[name] = inside[0][1] if inside and levels[name] < threshold else 0
    return Basins(threshold, count, labels, basin_of, _passes(grid, around, levels))


def default_threshold(own_losses: Iterable[float], naive_top: float) -> tuple[float, str]:
    """Return a threshold that tells a pass from a barrier, and the sentence that states it.

    Args:
        own_losses: the models' own losses, in nats.
        naive_top: the largest loss on the straight line from A to B.

    Raises:
        LandscapeError: a model's own loss is NaN, infinite or negative.
    """
    worst = max(own := tuple(own_losses))
    if not all(math.isfinite(loss) and loss >= 0 for loss in own):
        raise LandscapeError(f"The models' own losses {own} are no basis for a threshold.")
    if math.isfinite(naive_top) and naive_top > 1.1 * worst:
        threshold = worst + BARRIER_SHARE * (naive_top - worst)
        return threshold, (
            f"under {threshold:.3g}: the models' own losses (at most {worst:.3g}) plus a tenth "
            f"of the way to the top of the straight line from A to B ({naive_top:.3g})"
        )
    threshold = 2 * worst or 1e-3
    reason = (
        "the line from A to B has no barrier to measure against"
        if naive_top <= 1.1 * worst
        else "the line from A to B has no finite top"
    )
    return threshold, f"under {threshold:.3g}: twice the models' own losses, as {reason}"


def _around(us: np.ndarray, vs: np.ndarray, u: float, v: float) -> list[tuple[int, int]]:
    """Return the grid points (row, column) around a place: 4, 2 or 1, or none outside the grid."""
    return list(product(_between(vs, v), _between(us, u)))


def _between(axis: np.ndarray, value: float) -> tuple[int, ...]:
    slack = 1e-9 * max(1.0, float(np.abs(axis).max()))
    near = np.flatnonzero(np.abs(axis - value) <= slack)
    if len(near):
        return (int(near[0]),)
    if not axis[0] < value < axis[-1]:
        return ()
    above = int(np.searchsorted(axis, value))
    return (above - 1, above)


def _passes(
    grid: np.ndarray,
    around: Mapping[str, list[tuple[int, int]]],
    levels: Mapping[str, float],
) -> dict[str, float]:
    """Flood the grid from its lowest point up; a pass is the level at which two models meet."""
    forest = _Forest()
    names = tuple(around)
    placed = {name: bool(around[name]) and not math.isnan(levels[name]) for name in names}
    passes = {
        f"{a}|{b}": math.inf if placed[a] and placed[b] else math.nan
        for a, b in combinations(names, 2)
    }
    nodes = [(grid[cell], cell) for cell in zip(*np.nonzero(np.isfinite(grid)), strict=True)]
    nodes += [(levels[name], name) for name in names if placed[name]]
    links: dict[object, list[object]] = {name: list(cells) for name, cells in around.items()}
    for name, cells in around.items():
        for cell in cells:
            links.setdefault(cell, []).append(name)
    for level, node in sorted(nodes, key=lambda pair: pair[0]):
        forest.add(node)
        for other in (*links.get(node, ()), *_neighbours(node)):
            forest.join(node, other)
        for a, b in combinations(names, 2):
            if passes[f"{a}|{b}"] == math.inf and forest.joined(a, b):
                passes[f"{a}|{b}"] = float(level)
    return passes


def _neighbours(node: object) -> list[tuple[int, int]]:
    if isinstance(node, str):
        return []
    row, column = node  # type: ignore[misc]
    return [(row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)]


class _Forest:
    """Disjoint sets of flooded nodes (union–find with path halving)."""

    def __init__(self) -> None:
        self._parent: dict[object, object] = {}

    def add(self, node: object) -> None:
        self._parent[node] = node

    def join(self, a: object, b: object) -> None:
        if b in self._parent:
            self._parent[self._root(a)] = self._root(b)

    def joined(self, a: object, b: object) -> bool:
        return a in self._parent and b in self._parent and self._root(a) == self._root(b)

    def _root(self, node: object) -> object:
        parent = self._parent
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node
