"""Scattered points of a plane: scrambled Sobol points, and the coefficients of any points.

Git Re-Basin draws its contours from 2048 such points in [−.5, 1.5]². Every power of two of them,
taken from the start, covers the plane evenly by itself, so that they can come in rounds.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from engine.landscape.grid import Extent
from engine.landscape.plane import Plane


def sobol_points(count: int, extent: Extent, seed: int) -> np.ndarray:
    """Return scrambled Sobol points of a rectangle, float64 [count, 2].

    Args:
        count: a power of two.
        extent: (u from, u to, v from, v to).
        seed: of the scrambling (Owen).
    """
    from scipy.stats import qmc  # half a second, for those who draw

    u0, u1, v0, v1 = extent
    unit = qmc.Sobol(2, scramble=True, rng=np.random.default_rng(seed)).random(count)
    return qmc.scale(unit, (u0, v0), (u1, v1))


def coefficients_at(plane: Plane, places: np.ndarray) -> Tensor:
    """Return the affine weights of a plane's models at some places, float64 [P, K].

    Args:
        plane: its own grid says what the weights are at three corners, and they are affine.
        places: (u, v), float64 [P, 2].
    """
    rows, columns = len(plane.v), len(plane.u)
    grid = plane.coefficients.reshape(rows, columns, -1).numpy()
    origin, right, up = grid[0, 0], grid[0, -1], grid[-1, 0]
    u, v = plane.u, plane.v
    across = (places[:, :1] - u[0]) / (u[-1] - u[0])
    along = (places[:, 1:] - v[0]) / (v[-1] - v[0])
    weights = origin + across * (right - origin) + along * (up - origin)
    # What rounding left over goes to the first model: weights of a point sum to 1.
    weights[:, 0] = 1 - weights[:, 1:].sum(1)
    return torch.from_numpy(weights)
