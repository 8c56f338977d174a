"""The plane of the two most curved directions of the loss at a model.

The eigenvectors of the two largest eigenvalues of the Hessian on a sample of the training data
(Yao et al. 2020, "PyHessian", arXiv 1912.07145, figure 1, look at the loss along them). Units are
true distances in parameter space. BatchNorm runs on the model's own statistics while the
Hessian is taken.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from torch import Tensor

from engine.landscape.geometry import norm
from engine.landscape.grid import Extent
from engine.landscape.planes.eigenvectors import Eigenpairs
from engine.landscape.planes.laid import LaidPlane, plane_along

NAME = "model"
RISE = 4.0
"""The grid reaches as far as the quadratic model of the loss rises by so much."""


def hessian_plane(
    model: Mapping[str, Tensor],
    eigenpairs: Eigenpairs,
    *,
    names: Sequence[str],
    resolution: int,
    extent: Extent | None = None,
) -> LaidPlane:
    """Return the plane along two eigenvectors of the Hessian.

    Args:
        model: the origin.
        eigenpairs: of the Hessian over `names`, flat in that order.
        names: the model's trained parameters (`moved_names`).
        resolution: points per axis.
        extent: in true units; None takes ± √(8/λ₁), where ½λ₁u² is 4, at most the model's norm.
    """
    directions, start = ({}, {}), 0
    for name in names:
        stop = start + model[name].numel()
        for direction, vector in zip(directions, eigenpairs.vectors, strict=True):
            direction[name] = vector[start:stop].view(model[name].shape)
        start = stop
    extent = extent or _reach(float(eigenpairs.values[0]), norm(model, names))
    plane = plane_along(
        model,
        *directions,
        names=names,
        unit=1.0,
        resolution=resolution,
        extent=extent,
        positions={NAME: (0.0, 0.0)},
    )
    return LaidPlane(
        plane=plane,
        on_plane={NAME: model},
        off_plane={},
        extent=extent,
        axes=("first Hessian eigenvector", "second Hessian eigenvector"),
        unit="Euclidean distance",
        facts={
            "eigenvalues": eigenpairs.values.tolist(),
            "residuals": eigenpairs.residuals.tolist(),
            "products": eigenpairs.products,
        },
    )


def _reach(curvature: float, length: float) -> Extent:
    """Return a square around the model, to two significant digits."""
    reach = math.sqrt(2 * RISE / curvature) if curvature > 0 else length
    reach = float(f"{min(reach, length) or 1.0:.1e}")
    return -reach, reach, -reach, reach
