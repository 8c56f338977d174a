"""Curved paths between two models, as coefficients of a Span (first end, bends …, last end).

From Garipov et al. 2018 (arXiv 1802.10026), section 3.2, for t from 0 (the first end) to 1:
- *bezier*: Σ_k C(n, k) (1 − t)^(n−k) t^k θ_k, with n = bends + 1; one bend makes a parabola;
- *polygon*: straight pieces from each model to the next, each taking an equal share of t.
Bends that lie evenly spaced on the straight line make both the straight line itself. Lengths and
places are those of the tensors whose inner products are given (`geometry.gram`); how bends are
found is not here (`engine.training.bends`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from engine.errors import LandscapeError

BEZIER, POLYGON = "bezier", "polygon"
SHAPES = (BEZIER, POLYGON)
_PIECES = 960  # of each straight piece, or of the whole, when a length is measured


def curve(shape: str, bends: int, places: ArrayLike) -> Tensor:
    """Return the coefficients of points of a curve.

    Args:
        shape: "bezier" or "polygon".
        bends: models between the two ends, at least 1.
        places: t of each point, from 0 to 1, [G].

    Returns:
        float64 [G, bends + 2], rows that sum to 1; exactly one 1 at both ends.

    Raises:
        LandscapeError: there is no such shape, no bend, or a place is not on the curve.
    """
    if shape not in SHAPES:
        raise LandscapeError(f"There is no curve called {shape!r}; there are {', '.join(SHAPES)}.")
    if bends < 1:
        raise LandscapeError(
            f"A curve needs at least 1 bend, not {bends}; without one it is the straight line."
        )
    t = torch.as_tensor(np.asarray(places, dtype=np.float64)).reshape(-1)
    if not bool(((t >= 0) & (t <= 1)).all()):
        raise LandscapeError("A place on a curve is a number t from 0, one end, to 1, the other.")
    pieces = bends + 1
    if shape == POLYGON:
        corners = torch.arange(pieces + 1, dtype=torch.float64)
        return (1 - (t[:, None] * pieces - corners).abs()).clamp(min=0)
    powers = torch.arange(pieces + 1)
    counts = torch.tensor([comb(pieces, k) for k in range(pieces + 1)], dtype=torch.float64)
    return counts * (1 - t[:, None]) ** (pieces - powers) * t[:, None] ** powers


def places(points: int) -> np.ndarray:
    """Return evenly spaced t from 0 to 1, both exactly, float64 [points].

    Raises:
        LandscapeError: fewer than 2 points.
    """
    if points < 2:
        raise LandscapeError(f"A curve needs at least 2 points, its two ends; {points} was asked.")
    return np.arange(points) / (points - 1)


@dataclass(frozen=True)
class Lengths:
    """How long a curve is.

    Attributes:
        positions: the way from the first end to each point, as a share of the whole, [G].
        curve: length of the curve.
        straight: distance of its ends.
    """

    positions: np.ndarray
    curve: float
    straight: float


def lengths(shape: str, bends: int, at: ArrayLike, products: Tensor) -> Lengths:
    """Measure a curve in the units of its models.

    Args:
        shape, bends: of the curve.
        at: t of the points whose way is wanted, ascending, [G].
        products: inner products of the models' differences to the first one, float64
            [bends + 1, bends + 1].

    Raises:
        LandscapeError: see `curve`.
    """
    t = np.asarray(at, dtype=np.float64)
    fine = np.union1d(np.linspace(0, 1, _PIECES * (bends + 1) + 1), t)
    steps = curve(shape, bends, fine).diff(dim=0)
    way = np.concatenate([[0.0], np.cumsum(_norms(steps, products))])
    whole = float(way[-1])
    found = way[np.searchsorted(fine, t)]
    straight = float(products[-1, -1].clamp(min=0)) ** 0.5
    return Lengths(found / whole if whole > 0 else t.copy(), whole, straight)


def off_line(products: Tensor) -> np.ndarray:
    """Return how far each bend is from the straight line through the ends, [bends].

    Args:
        products: as for `lengths`.
    """
    square = float(products[-1, -1])
    own = products.diagonal()[:-1]
    along = products[:-1, -1].square() / square if square > 0 else torch.zeros_like(own)
    return (own - along).clamp(min=0).sqrt().numpy()


def projected(coefficients: Tensor, products: Tensor, third: int) -> tuple[np.ndarray, np.ndarray]:
    """Return where points of a span lie in the plane of its first, last and one other model.

    Args:
        coefficients: affine weights of the models, [G, K].
        products: inner products of the models' differences to the first one, [K − 1, K − 1].
        third: which model, with the ends, spans the plane: 1 … K − 2.

    Returns:
        (u, v) of every point, [G, 2], in units of the ends' distance as `make_plane` has them, and
        its distance from the plane in the same units, [G].

    Raises:
        LandscapeError: the three models lie on one line.
    """
    square = float(products[-1, -1])
    p = float(products[third - 1, -1]) / square if square > 0 else 0.0
    height = float(products[third - 1, third - 1]) / square - p**2 if square > 0 else 0.0
    if height <= 0:
        raise LandscapeError("The bend lies on the line through the two ends: no plane is theirs.")
    q = height**0.5
    moves = coefficients[:, 1:].to(torch.float64)
    inner = moves @ products / square
    u = inner[:, -1]
    v = (inner[:, third - 1] - p * u) / q
    rest = ((inner * moves).sum(1) - u**2 - v**2).clamp(min=0).sqrt()
    return torch.stack((u, v), dim=1).numpy(), rest.numpy()


def straight_bends(bends: int) -> Sequence[float]:
    """Return the share of the last end in each bend that lies evenly on the straight line."""
    return [k / (bends + 1) for k in range(1, bends + 1)]


def _norms(steps: Tensor, products: Tensor) -> np.ndarray:
    moves = steps[:, 1:]
    return ((moves @ products) * moves).sum(1).clamp(min=0).sqrt().numpy()
