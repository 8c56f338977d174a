"""The straight line between two models, as coefficients of a Span of those two.

λ runs from 0 (the first model) to 1 (the second), as in Git Re-Basin (Ainsworth et al. 2022,
Definition 2.2) and Frankle et al. (2020). 25 points are the paper's choice; an odd number has
the midpoint among its points. Curved paths are in `curve.py`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from engine.errors import LandscapeError


def line(points: int) -> Tensor:
    """Return coefficients of evenly spaced points on the line from model 0 to model 1.

    Args:
        points: how many, both ends included; at least 2.

    Returns:
        float64, shape [points, 2], rows (1 − λ, λ); the first is (1, 0), the last (0, 1).

    Raises:
        LandscapeError: fewer than 2 points.
    """
    if points < 2:
        raise LandscapeError(f"A line needs at least 2 points, its two ends; {points} was asked.")
    second = torch.arange(points, dtype=torch.float64) / (points - 1)
    return torch.stack((1 - second, second), dim=1)
