"""The plane through A, B and π(B), as coefficients of a Span of three models.

Origin A; the first axis points along B − A, the second along the part of π(B) − A orthogonal to
it (Gram–Schmidt in float64), both in units of ‖B − A‖, as in Git Re-Basin's contour figure:
θ(u, v) = A + u·‖B−A‖·e₁ + v·‖B−A‖·e₂, which is an affine combination of the three models.
BatchNorm running statistics are combined with the same coefficients but do not count in
lengths and angles. Where the three models lie on one line, a random direction
(`direction.py`) stands in for the missing one and `degenerate` says so in a sentence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from engine.landscape.geometry import gram, stretches
from engine.landscape.grid import grid_axes
from engine.landscape.layout import MODELS, lay_out
from engine.landscape.span import Span


@dataclass(frozen=True)
class Plane:
    """A grid in the plane of three models.

    Attributes:
        span: origin and the two models that span the plane: A, B, π(B) unless `degenerate`.
        coefficients: affine weights of the span's models at every grid point, float64
            [len(v)·len(u), 3], row-major over v, then u.
        corners: the same at A, B and π(B) themselves, exact ones and zeros, float64 [3, 3].
        u, v: the axes of the grid in units of `u_norm`, float64, ascending.
        positions: (u, v) of "A", "B" and "pi_b".
        u_norm: the unit of both axes, ‖B − A‖ (‖π(B) − A‖ or ‖A‖ in degenerate planes).
        v_norm: length of the part of π(B) − A orthogonal to B − A.
        distances: Euclidean, of "A|B", "A|pi_b" and "B|pi_b".
        angle_degrees: between B − A and π(B) − A; None where either is zero.
        orthonormality: |cosine| between the two axes as formed, measured in float64.
        degenerate: None, or a sentence saying why and how the plane is not the usual one.
    """

    span: Span
    coefficients: Tensor
    corners: Tensor
    u: np.ndarray
    v: np.ndarray
    positions: Mapping[str, tuple[float, float]]
    u_norm: float
    v_norm: float
    distances: Mapping[str, float]
    angle_degrees: float | None
    orthonormality: float
    degenerate: str | None


def make_plane(
    a: Mapping[str, Tensor],
    b: Mapping[str, Tensor],
    pi_b: Mapping[str, Tensor],
    *,
    resolution: int | tuple[int, int] = 33,
    extent: tuple[float, float, float, float] = (-0.5, 1.5, -0.5, 1.5),
    names: Sequence[str] | None = None,
    seed: int = 0,
) -> Plane:
    """Return the grid of the plane through three models.

    Args:
        a, b, pi_b: models with the same tensors.
        resolution: points per axis, at least 2, or (points along u, points along v).
        extent: (u from, u to, v from, v to) in units of ‖B − A‖.
        names: tensors that count in the geometry (`geometry_names`); None counts all floating
            ones.
        seed: of the random direction of a degenerate plane; without effect on any other.

    Raises:
        LandscapeError: the models differ in tensors, hold NaN or infinite values, or the
            resolution or extent is no grid.
    """
    u, v = grid_axes(resolution, extent)
    models = Span(MODELS, (a, b, pi_b))
    counted = tuple(n for n in a if a[n].is_floating_point()) if names is None else tuple(names)
    layout = lay_out(models, counted, seed)
    p, q, orthonormality = _basis(layout.span, counted)
    uu, vv = (torch.from_numpy(g.reshape(-1).copy()) for g in np.meshgrid(u, v))
    positions = {
        name: (float(second + p * third), float(q * third))
        for name, (_, second, third) in zip(MODELS, layout.corners.tolist(), strict=True)
    }
    return Plane(
        span=layout.span,
        coefficients=_affine(uu, vv, p, q),
        corners=layout.corners,
        u=u,
        v=v,
        positions=positions,
        u_norm=layout.unit,
        v_norm=0.0 if layout.sentence else q * layout.unit,
        distances=layout.distances,
        angle_degrees=layout.angle,
        orthonormality=orthonormality,
        degenerate=layout.sentence,
    )


def _affine(u: Tensor, v: Tensor, p: float, q: float) -> Tensor:
    """Return the weights of the span's models at (u, v), where the third lies at (p, q)."""
    third = v / q
    second = u - p * third
    return torch.stack((1 - second - third, second, third), dim=1)


def _basis(span: Span, names: Sequence[str]) -> tuple[float, float, float]:
    """Return where the third model lies, (p, q) in units of the first axis, and orthonormality."""
    square = float(gram(span.models, names)[0, 0])
    p = height = inner = 0.0
    # The second pass takes out what rounding left of the first axis ("twice is enough").
    for _ in range(3):
        p += inner / square
        inner = height = 0.0
        for origin, second, third in stretches(span.models, names):
            along = second - origin
            across = third - origin - p * along
            inner += float(along @ across)
            height += float(across @ across)
    return p, (height / square) ** 0.5, abs(inner) / (height * square) ** 0.5
