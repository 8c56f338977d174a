"""Tiles: the pieces in which a comparison is evaluated, kept and resumed.

A tile is a list of points of one span on one split. Which points a tile holds, and so its
bits, depends on the question alone, never on timing: a run that is resumed from its tiles
ends with the numbers of an undisturbed one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from torch import Tensor

from engine.landscape import Span, Tally

POINTS_PER_TILE = 25
COARSE_STRIDES = (8, 4, 2, 1)
QUANTITIES = ("loss", "loss_se", "accuracy", "accuracy_se")


class TileCache(Protocol):
    """Where finished tiles are kept."""

    def get(self, key: str) -> Mapping[str, np.ndarray] | None:
        """Return a finished tile's arrays, or None."""
        ...

    def put(self, key: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep a finished tile's arrays."""
        ...


class MemoryTiles:
    """Tiles in memory, for runs that need not survive the process."""

    def __init__(self) -> None:
        self._tiles: dict[str, Mapping[str, np.ndarray]] = {}

    def get(self, key: str) -> Mapping[str, np.ndarray] | None:
        """Return a finished tile's arrays, or None."""
        return self._tiles.get(key)

    def put(self, key: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep a finished tile's arrays."""
        self._tiles[key] = dict(arrays)


@dataclass(frozen=True)
class Tile:
    """Some points of one span on one split.

    Args:
        key: unique within a run; safe as a file name.
        span: the models that are combined.
        coefficients: one row per point, [G, K].
        split: "train" or "test".
        index: where the points go in their curve or flattened grid, [G] int64.
    """

    key: str
    span: Span
    coefficients: Tensor
    split: str
    index: np.ndarray


def split_into_tiles(
    name: str, span: Span, coefficients: Tensor, split: str, order: np.ndarray | None = None
) -> tuple[Tile, ...]:
    """Cut points into tiles of at most POINTS_PER_TILE, in the given order.

    Args:
        name: first part of the tiles' keys.
        coefficients: [G, K].
        order: indices of the points in the order of evaluation; None is as they stand.
    """
    points = np.arange(len(coefficients)) if order is None else order
    tiles = []
    for number, start in enumerate(range(0, len(points), POINTS_PER_TILE)):
        index = points[start : start + POINTS_PER_TILE]
        key = f"{name}-{split}-{number:04d}"
        tiles.append(Tile(key, span, coefficients[index], split, index))
    return tuple(tiles)


def coarse_first(rows: int, columns: int) -> np.ndarray:
    """Return the flat indices of a grid so that a coarse grid comes first, then finer ones."""
    i, j = np.divmod(np.arange(rows * columns), columns)
    level = np.full(rows * columns, len(COARSE_STRIDES))
    for rank in reversed(range(len(COARSE_STRIDES))):
        stride = COARSE_STRIDES[rank]
        level[(i % stride == 0) & (j % stride == 0)] = rank
    return np.argsort(level, kind="stable")


def tally_arrays(tally: Tally, index: np.ndarray) -> dict[str, np.ndarray]:
    """Return what is kept of an evaluated tile: per point, in the tile's order."""
    return {
        "index": index,
        "loss": tally.loss.numpy(),
        "loss_se": tally.loss_se.numpy(),
        "accuracy": tally.accuracy.numpy(),
        "accuracy_se": tally.accuracy_se.numpy(),
    }


def belongs(arrays: Mapping[str, np.ndarray], tile: Tile) -> bool:
    """Say whether kept arrays are those of a tile; what is not is evaluated again."""
    if not np.array_equal(arrays.get("index", ()), tile.index):
        return False
    return all(np.shape(arrays.get(name, ())) == tile.index.shape for name in QUANTITIES)


def gather(tiles: tuple[Tile, ...], cache: TileCache) -> dict[str, np.ndarray]:
    """Return the arrays of finished tiles put together by index, NaN where none is finished."""
    size = sum(len(tile.index) for tile in tiles)
    arrays = {name: np.full(size, np.nan) for name in QUANTITIES}
    for tile in tiles:
        finished = cache.get(tile.key)
        if finished is not None:
            for name in QUANTITIES:
                arrays[name][tile.index] = finished[name]
    return arrays
