"""The plane of a training trajectory: its first two principal components, through its last model.

After Li et al. (2018, arXiv 1712.09913, section 7): the rows θ_i − θ_n of all checkpoints are
centred, and the two directions of largest variance span the plane. It is put through θ_n, as
there. Other checkpoints are projected onto it; how far each lies off it is stated, since the loss
drawn at its place is not its own. The components come from the K × K inner products, so that no
matrix of checkpoints is held. Running statistics do not count and stay those of θ_n.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.errors import LandscapeError
from engine.landscape.geometry import gram, norm
from engine.landscape.grid import Extent, square_around
from engine.landscape.planes.laid import LaidPlane, plane_along

FEWEST = 3
MARGIN = 0.25
START, END = "start", "end"


@dataclass(frozen=True)
class Components:
    """The first two principal components of K models.

    Attributes:
        weights: of each model in the two directions: eₖ = Σ weights[i, k]·(θ_i − θ_n), of length
            1, float64 [K, 2]; zeros where there is no such component.
        places: ⟨θ_i − θ_n, eₖ⟩ of each model, float64 [K, 2].
        off_plane: distance of each model from the plane through θ_n, float64 [K].
        explained: share of the variance along each, float64 [2].
        farthest: the largest distance of any model from θ_n.
    """

    weights: Tensor
    places: Tensor
    off_plane: Tensor
    explained: Tensor
    farthest: float


def principal_components(
    models: Sequence[Mapping[str, Tensor]], names: Sequence[str]
) -> Components:
    """Return the principal components of models, the last one being the origin.

    The first model has u ≤ 0 ≤ v, which fixes the signs.

    Args:
        models: K models in order.
        names: the tensors that count.

    Raises:
        LandscapeError: a model holds NaN or infinite weights, or all are the same.
    """
    *earlier, last = models
    size = len(models)
    products = torch.zeros(size, size, dtype=torch.float64)
    products[:-1, :-1] = gram([last, *earlier], names)
    if not bool(products.isfinite().all()):
        raise LandscapeError(
            "A checkpoint holds NaN or infinite weights, so the trajectory has no principal "
            "components; check the checkpoints."
        )
    farthest = float(products.diagonal().max()) ** 0.5
    # Points are formed in float32: differences near its rounding of the weights span nothing.
    rounding = 64 * torch.finfo(torch.float32).eps * max(norm(model, names) for model in models)
    if farthest <= rounding:
        raise LandscapeError(
            "All checkpoints are the same model, and a trajectory that does not move spans no "
            "plane; choose checkpoints of different epochs."
        )
    centred = products - products.mean(0) - products.mean(1, keepdim=True) + products.mean()
    values, vectors = torch.linalg.eigh(centred)
    values, vectors = values[-2:].flip(0).clamp(min=0), vectors[:, -2:].flip(1)
    there = values > max(rounding**2, 1e-12 * float(values[0]))
    weights = torch.where(there, vectors / values.sqrt().where(there, 1), 0)
    places = products @ weights
    signs = torch.where(places[0] < 0, -1.0, 1.0) * torch.tensor([-1.0, 1.0])
    weights, places = weights * signs, places * signs
    return Components(
        weights=weights,
        places=places,
        off_plane=(products.diagonal() - places.square().sum(1)).clamp(min=0).sqrt(),
        explained=torch.where(there, values / centred.diagonal().sum(), 0),
        farthest=farthest,
    )


def trajectory_plane(
    models: Sequence[Mapping[str, Tensor]],
    *,
    names: Sequence[str],
    resolution: int,
    extent: Extent | None = None,
    seed: int = 0,
) -> LaidPlane:
    """Return the plane of the first two principal components of a trajectory.

    Args:
        models: three or more checkpoints in order; the last is the origin.
        names: the tensors that count (`geometry_names`).
        resolution: points per axis.
        extent: in units of the farthest checkpoint's distance from the last; None takes the
            square around all projections, a quarter of its side wider.
        seed: of the random direction where all checkpoints lie on one line.

    Raises:
        LandscapeError: fewer than three checkpoints, all the same, or not finite.
    """
    if len(models) < FEWEST:
        raise LandscapeError(
            f"Principal components need at least {FEWEST} checkpoints of a training, not "
            f"{len(models)}; keep one after each epoch."
        )
    found = principal_components(models, names)
    unit = found.farthest
    flat = float(found.explained[1]) == 0
    places = [(float(u), float(v)) for u, v in (found.places / unit).tolist()]
    extent = extent or square_around(places, MARGIN)
    plane = plane_along(
        models[-1],
        _direction(models, names, found.weights[:, 0]),
        None if flat else _direction(models, names, found.weights[:, 1]),
        names=names,
        unit=unit,
        resolution=resolution,
        extent=extent,
        positions={START: places[0], END: (0.0, 0.0)},
        distances={f"{START}|{END}": _distance(models, names)},
        seed=seed,
        degenerate=_ON_A_LINE if flat else None,
    )
    return LaidPlane(
        plane=plane,
        on_plane={END: models[-1]},
        off_plane={START: float(found.off_plane[0])},
        extent=extent,
        axes=("first principal component", "a random direction" if flat else _SECOND),
        unit="the farthest checkpoint's distance from the last",
        facts={
            "explained": found.explained.tolist(),
            "trajectory": [list(place) for place in places],
            "off_plane": found.off_plane.tolist(),
        },
    )


_SECOND = "second principal component"
_ON_A_LINE = (
    "All checkpoints lie on one line, so the trajectory has a single principal component; the "
    "vertical axis is a random direction."
)


def _direction(
    models: Sequence[Mapping[str, Tensor]], names: Sequence[str], weights: Tensor
) -> dict[str, Tensor]:
    """Return Σ wᵢ·(θ_i − θ_n) in float64 on the CPU."""
    last = models[-1]
    direction = {}
    for name in names:
        origin = last[name].detach().to("cpu", torch.float64)
        total = torch.zeros_like(origin)
        for weight, model in zip(weights.tolist(), models[:-1], strict=False):
            total += weight * (model[name].detach().to("cpu", torch.float64) - origin)
        direction[name] = total
    return direction


def _distance(models: Sequence[Mapping[str, Tensor]], names: Sequence[str]) -> float:
    return float(gram([models[-1], models[0]], names)[0, 0]) ** 0.5
