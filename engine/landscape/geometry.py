"""Lengths and angles between models, summed in float64 over chosen tensors.

The parameters span the geometry; BatchNorm running statistics are estimates from data, not
coordinates, and do not count (matching leaves them out for the same reason). Tensors are read
in stretches, so a large model is never copied whole to float64.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from engine.errors import LandscapeError
from engine.program import Program

_STRETCH = 1 << 22


def geometry_names(program: Program) -> tuple[str, ...]:
    """Return the tensors that count in distances: all of the program's but running statistics.

    Tied weights count once, and tensors that a checkpoint holds beside them do not count.
    """
    return tuple(name for name in program.parameters if name not in program.statistics_names)


def stretches(
    models: Sequence[Mapping[str, Tensor]], names: Sequence[str]
) -> Iterator[tuple[Tensor, ...]]:
    """Yield the same stretch of every model, float64 on the CPU, until all names are covered."""
    for name in names:
        flat = [model[name].detach().reshape(-1) for model in models]
        for start in range(0, flat[0].numel(), _STRETCH):
            yield tuple(t[start : start + _STRETCH].to("cpu", torch.float64) for t in flat)


def gram(models: Sequence[Mapping[str, Tensor]], names: Sequence[str]) -> Tensor:
    """Return inner products of the differences to the first model, float64 [K − 1, K − 1].

    Args:
        models: K models with the same tensors; the first is the origin.
        names: the tensors that count.

    Raises:
        LandscapeError: a name is not a tensor of the models.
    """
    for name in names:
        if any(name not in model for model in models):
            raise LandscapeError(f"{name} is no tensor of every model, so it spans no plane.")
    products = torch.zeros(len(models) - 1, len(models) - 1, dtype=torch.float64)
    for origin, *others in stretches(models, names):
        differences = torch.stack([other - origin for other in others])
        products += differences @ differences.T
    return products


def norm(model: Mapping[str, Tensor], names: Sequence[str]) -> float:
    """Return the Euclidean length of a model's named tensors taken as one vector."""
    total = sum(float(part.square().sum()) for (part,) in stretches([model], names))
    return total**0.5
