"""A plane that is still being computed: what is known is drawn, the rest is interpolated.

Grid points arrive coarse first. Between them the drawn values (log10 of the loss, say) are
interpolated linearly, beyond them by the nearest known point, so that the picture sharpens in
place instead of growing. What lies nearest to a diverged point is left open. The finished plane is
never touched.
"""

from __future__ import annotations

import numpy as np

ENOUGH = 4  # known points for a picture at all


def filled(values: np.ndarray, done: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Fill the points that are not computed yet.

    Args:
        values: [V, U] what is drawn; NaN where a computed point diverged.
        done: [V, U] which points are computed.
        u, v: the grid's axes.

    Returns:
        A new [V, U] array; computed points keep their values, diverged ones and those that lie
        nearest to one are NaN. All NaN while fewer than four points are known.
    """
    known = done & np.isfinite(values)
    if done.all():
        return values.copy()
    if known.sum() < ENOUGH:
        return np.full_like(values, np.nan)
    from scipy.interpolate import LinearNDInterpolator, NearestNDInterpolator
    from scipy.spatial import QhullError

    grid = np.stack(np.meshgrid(u, v), axis=-1)
    points, heights = grid[known], values[known]
    nearest = NearestNDInterpolator(points, heights)(grid)
    try:
        inside = LinearNDInterpolator(points, heights)(grid)
    except QhullError:  # all known points on one line: no triangle to interpolate in
        inside = np.full_like(values, np.nan)
    guess = np.where(np.isfinite(inside), inside, nearest)
    guess = np.where(lost(values, done, u, v), np.nan, guess)
    return np.where(done, values, guess)


def lost(values: np.ndarray, done: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Return which points have no number, as far as is known.

    Args:
        values: [V, U], not finite where a computed point diverged.
        done: [V, U] which points are computed.
        u, v: the grid's axes.

    Returns:
        bool [V, U]: computed points that diverged, and others that lie no nearer to one that
        did not.
    """
    bad = done & ~np.isfinite(values)
    if done.all() or not bad.any():
        return bad
    from scipy.spatial import KDTree

    grid, good = np.stack(np.meshgrid(u, v), axis=-1), done & ~bad
    if not good.any():
        return np.ones(values.shape, dtype=bool)
    to_bad, to_good = (KDTree(grid[which]).query(grid)[0] for which in (bad, good))
    return np.where(done, bad, to_bad <= to_good * (1 + 1e-9))
