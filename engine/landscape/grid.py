"""The grid of a plane: two ascending axes, and the square that holds some points."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from engine.errors import LandscapeError

Extent = tuple[float, float, float, float]


def grid_axes(resolution: int | tuple[int, int], extent: Extent) -> tuple[np.ndarray, np.ndarray]:
    """Return the values of u and v, float64, evenly spaced and ascending.

    Args:
        resolution: points per axis, at least 2, or (points along u, points along v).
        extent: (u from, u to, v from, v to).

    Raises:
        LandscapeError: the resolution or extent is no grid.
    """
    counts = (resolution, resolution) if isinstance(resolution, int) else resolution
    u0, u1, v0, v1 = extent
    if min(counts) < 2:
        raise LandscapeError(f"A plane needs at least 2 points per axis; {counts} was asked.")
    if not (np.isfinite(extent).all() and u0 < u1 and v0 < v1):
        raise LandscapeError(
            f"The extent {extent} is no rectangle; give (u from, u to, v from, v to), ascending."
        )
    return _axis(u0, u1, counts[0]), _axis(v0, v1, counts[1])


def square_around(points: Collection[tuple[float, float]], margin: float) -> Extent:
    """Return the smallest square around points, widened on each side.

    Args:
        points: (u, v) of at least two different places.
        margin: what is added on each side, as a share of the square's side.

    Returns:
        (u from, u to, v from, v to), rounded outwards to two digits of its side.
    """
    at = np.array(list(points), dtype=np.float64)
    low, high = at.min(0), at.max(0)
    side = float((high - low).max())
    step = 10.0 ** (np.floor(np.log10(side)) - 1)
    middle, half = (low + high) / 2, side * (0.5 + margin)
    ends = np.stack((np.floor((middle - half) / step), np.ceil((middle + half) / step)))
    (u0, v0), (u1, v1) = np.round(ends * step, 12).tolist()
    return u0, u1, v0, v1


def _axis(start: float, stop: float, count: int) -> np.ndarray:
    """Return evenly spaced values; 0 and 1 are hit exactly where they are on the grid."""
    values = start + (stop - start) * np.arange(count) / (count - 1)
    values[-1] = stop
    nearest = np.round(values)
    return np.where(np.abs(values - nearest) < 1e-12, nearest, values)
