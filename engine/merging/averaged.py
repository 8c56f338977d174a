"""The average of aligned models as a plain checkpoint."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from engine.errors import MatchingError


def average(
    models: Sequence[Mapping[str, Tensor]], weights: Sequence[float] | None = None
) -> dict[str, Tensor]:
    """Return Σ w_k θ_k with the names and dtypes of the first model.

    Sums run in float32, or in float64 where a tensor has it. What is not floating, or not in
    every model (step counters of BatchNorm), is the first model's.

    Args:
        models: aligned parameters by name.
        weights: one per model, summing to 1; None weighs all alike.

    Raises:
        MatchingError: the weights are not one per model with the sum 1.
    """
    shares = [1 / len(models)] * len(models) if weights is None else list(weights)
    if len(shares) != len(models) or not math.isclose(sum(shares), 1, abs_tol=1e-6):
        raise MatchingError(
            f"an average of {len(models)} models needs as many weights with the sum 1; got "
            f"{len(shares)} with the sum {sum(shares):g}"
        )
    result = {}
    for name, own in models[0].items():
        if not own.is_floating_point() or any(name not in model for model in models):
            result[name] = own.detach().clone()
            continue
        dtype = torch.promote_types(own.dtype, torch.float32)
        total = torch.zeros(own.shape, dtype=dtype, device=own.device)
        for share, model in zip(shares, models, strict=True):
            total += share * model[name].detach().to(own.device, dtype)
        result[name] = total.to(own.dtype)
    return result
