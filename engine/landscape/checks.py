"""Checks of a plane as it is evaluated: what is measured on its formed points, not assumed.

The plane's axes are worked out in float64; its points are formed in the span's precision. Here the
formed points are measured: that both axes have the unit length and are orthogonal, and that
the corners hold their models' tensors, bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.landscape.geometry import gram
from engine.landscape.plane import Plane
from engine.landscape.span import PointBuffer


@dataclass(frozen=True)
class PlaneChecks:
    """What is measured on a plane's formed points.

    Attributes:
        lengths: of a unit step along each axis, in units of `Plane.u_norm`, measured between
            three corners of the grid; 1 to rounding.
        cosine: |cosine| of the angle between the two axes there; 0 to rounding.
        corner_error: the largest difference between a number of A, B or π(B) and of its corner;
            0 unless a random direction stands in for a model.
    """

    lengths: tuple[float, float]
    cosine: float
    corner_error: float


def check_plane(
    plane: Plane, models: Sequence[Mapping[str, Tensor]], names: Sequence[str]
) -> PlaneChecks:
    """Measure a plane's axes and corners on points formed as the evaluator forms them.

    One tensor at a time, so that no further copy of a model is held.

    Args:
        plane: through the models.
        models: A, B and π(B).
        names: the tensors that count in the geometry (`geometry_names`).
    """
    across, along = len(plane.u), len(plane.u) * (len(plane.v) - 1)
    rows = plane.coefficients[[0, across - 1, along]]
    products = torch.zeros(2, 2, dtype=torch.float64)
    error = 0.0
    for name in names:
        span = plane.span.restricted({name})
        formed = [PointBuffer(span, dtype=plane.span.dtype).form(row) for row in rows]
        products += gram(formed, (name,))
        for model, row in zip(models, plane.corners, strict=True):
            corner = PointBuffer(span, dtype=plane.span.dtype).form(row)[name]
            error = max(error, float((corner - model[name].to(corner)).abs().max()))
    first, second = float(products[0, 0]) ** 0.5, float(products[1, 1]) ** 0.5
    return PlaneChecks(
        lengths=(
            first / (plane.u_norm * float(plane.u[-1] - plane.u[0])),
            second / (plane.u_norm * float(plane.v[-1] - plane.v[0])),
        ),
        cosine=abs(float(products[0, 1])) / (first * second),
        corner_error=error,
    )
