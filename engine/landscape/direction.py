"""A random direction in parameter space, scaled filter by filter to the model it starts from.

From Li et al. (2018), "Visualizing the Loss Landscape of Neural Nets", section 4: a Gaussian
direction whose filters have the norms of the model's own filters, so that layers of different
scale are disturbed alike. It spans random planes (`planes/random_plane.py`) and stands in for a
model that does not span a plane. Tensors of one dimension (biases, norm scales) are scaled as a
whole, where the paper may set them to 0: leave them out of the names for that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

from engine.errors import LandscapeError
from engine.landscape.geometry import norm

Scaling = Literal["filter", "layer", "model"]
SCALINGS: tuple[Scaling, ...] = ("filter", "layer", "model")


def random_direction(
    model: Mapping[str, Tensor],
    names: Sequence[str],
    generator: torch.Generator,
    scaling: Scaling = "filter",
) -> dict[str, Tensor]:
    """Return a Gaussian direction with the model's own norms, in float64 on the CPU.

    Args:
        model: the model's tensors; filters are the rows of their first axis.
        names: the tensors that the direction moves.
        generator: source of randomness, on the CPU.
        scaling: what has the model's norm: each filter, each tensor, or the direction as a whole.
    """
    direction = {}
    for name in names:
        tensor = model[name].detach().to("cpu", torch.float64)
        noise = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
        if scaling == "model":
            direction[name] = noise
            continue
        rows = tensor.shape[0] if tensor.ndim > 1 and scaling == "filter" else 1
        own = tensor.reshape(rows, -1).norm(dim=1, keepdim=True)
        drawn = noise.reshape(rows, -1).norm(dim=1, keepdim=True)
        # A filter of zeros (a fresh bias) has no scale of its own and stays where it is.
        direction[name] = (noise.reshape(rows, -1) * (own / drawn)).view(tensor.shape)
    if scaling != "model":
        return direction
    share = norm(model, names) / length_of(direction)
    return {name: share * noise for name, noise in direction.items()}


def displaced(
    model: Mapping[str, Tensor],
    direction: Mapping[str, Tensor],
    away_from: Mapping[str, Tensor] | None,
    length: float,
) -> dict[str, Tensor]:
    """Return the model moved by `length` along a direction made orthogonal to another.

    Args:
        model: the start.
        direction: float64 tensors by name; what it does not name stays.
        away_from: a model; the part of the direction towards it is taken out first.
        length: Euclidean length of the move.

    Raises:
        LandscapeError: the direction is zero, or parallel to the other model's.
    """
    moved = dict(direction)
    before = length_of(moved)
    if away_from is not None:
        # Once leaves a rest of rounding size relative to the direction; twice is enough.
        for _ in range(2):
            inner = square = 0.0
            for name, tensor in moved.items():
                towards = _difference(away_from, model, name)
                inner += float((towards * tensor).sum())
                square += float(towards.square().sum())
            for name, tensor in moved.items():
                moved[name] = tensor - inner / square * _difference(away_from, model, name)
    after = length_of(moved)
    if not after > 1e-12 * before:
        raise LandscapeError(
            "No random direction exists at this model: all its parameters are zero, or there "
            "is only one of them."
        )
    result = {name: tensor.clone() for name, tensor in model.items()}
    for name, tensor in moved.items():
        dtype = torch.promote_types(model[name].dtype, torch.float32)
        start = model[name].detach().to("cpu", torch.float64)
        result[name] = (start + length / after * tensor).to(model[name].device, dtype)
    return result


def length_of(tensors: Mapping[str, Tensor]) -> float:
    """Return the Euclidean length of a direction."""
    return sum(float(tensor.square().sum()) for tensor in tensors.values()) ** 0.5


def _difference(a: Mapping[str, Tensor], b: Mapping[str, Tensor], name: str) -> Tensor:
    return a[name].detach().to("cpu", torch.float64) - b[name].detach().to("cpu", torch.float64)
