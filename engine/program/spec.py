"""What a Program says about its parameters, inputs and BatchNorm layers."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class ParameterSpec:
    """One parameter or floating buffer of a Program."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    trainable: bool
    """False for buffers, such as BatchNorm's running statistics."""


@dataclass(frozen=True)
class InputSpec:
    """One input of a Program, per sample: the batch dimension comes before `shape`."""

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    high: int
    """For integer inputs, one more than the largest valid value (a vocabulary); else 0."""


@dataclass(frozen=True)
class BatchNormSite:
    """One BatchNorm node of the graph, by the names of the parameters that it reads."""

    node: str
    weight: str | None
    bias: str | None
    running_mean: str
    running_var: str
    channels: int
    eps: float


@dataclass(frozen=True)
class BatchStatistics:
    """What one batch shows at one BatchNorm node, per channel."""

    mean: Tensor
    variance: Tensor
    """Unbiased, as torch keeps it."""

    count: int
    """How many values of each channel there were: samples times positions."""
