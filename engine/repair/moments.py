"""Mean and standard deviation of channels, batch by batch, and the ops that show and restore them.

The ops stand in rewritten graphs (`rewrite.py`). Statistics of a batch are taken in the precision
of the activations and pooled exactly in float64 (Chan et al. 1979, equation 2.1).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.errors import RepairError

CONSTANT = 8.0
"""A channel that varies by less than this many units in the last place of its size is constant."""

Shown = tuple[Tensor, Tensor, int]
"""What a batch shows of each channel: mean, unbiased variance, number of values."""


@dataclass(frozen=True)
class Moments:
    """Mean and standard deviation per channel, float64 [channels]."""

    mean: Tensor
    std: Tensor


class Pool:
    """Moments of all values seen so far."""

    def __init__(self) -> None:
        self._count = 0
        self._mean = torch.zeros(())
        self._squares = torch.zeros(())

    @classmethod
    def joined(cls, pools: Sequence[Pool]) -> Pool:
        """Return one pool of all that several saw."""
        joined = cls()
        for pool in pools:
            joined._join(pool._mean, pool._squares, pool._count)
        return joined

    def add(self, shown: Shown) -> None:
        """Pool what a batch showed."""
        mean, variance, count = shown
        self._join(mean.double(), variance.double() * (count - 1), int(count))

    def _join(self, mean: Tensor, squares: Tensor, count: int) -> None:
        total = self._count + count
        difference = mean - self._mean
        self._squares = self._squares + squares + difference**2 * (self._count * count / total)
        self._mean = self._mean + difference * (count / total)
        self._count = total

    @property
    def variance(self) -> Tensor:
        """Unbiased, float64 [channels]."""
        return self._squares / (self._count - 1)

    @property
    def moments(self) -> Moments:
        return Moments(self._mean, self.variance.sqrt())


def varies(mean: Tensor, std: Tensor, target: Tensor, epsilon: float) -> Tensor:
    """Return which channels vary beyond rounding and are to vary, bool [channels].

    The others are left alone: no factor makes a constant channel vary.
    """
    return (std > CONSTANT * epsilon * mean.abs()) & (std > 0) & (target > 0)


def observed(x: Tensor, axis: int) -> Shown:
    """Return what a value shows of the channels along an axis."""
    others = [index for index in range(x.dim()) if index != axis]
    variance, mean = torch.var_mean(x, others)
    return mean, variance, x.numel() // x.shape[axis]


def restored(
    x: Tensor, axis: int, target_mean: Tensor | None, target_std: Tensor
) -> tuple[Tensor, Tensor, Tensor, int]:
    """Return x with each channel brought to its target, and what x itself showed.

    Args:
        x: a layer's output.
        axis: where its channels are.
        target_mean: what to shift to, [channels]; None scales without shifting.
        target_std: what to scale to, [channels].
    """
    mean, variance, count = observed(x, axis)
    std = variance.sqrt()
    alive = varies(mean, std, target_std, torch.finfo(x.dtype).eps)
    factor = torch.where(alive, target_std / std, 1.0)
    along = [-1 if index == axis else 1 for index in range(x.dim())]
    out = x * factor.view(along)
    if target_mean is not None:
        shift = torch.where(alive, target_mean - factor * mean, 0.0)
        out = out + shift.view(along)
    return out, mean, variance, count


def normalised(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, epsilon: float
) -> tuple[Tensor, Tensor, Tensor, int]:
    """Return a BatchNorm's output under its batch's statistics, and what its input showed.

    The variance is the unbiased one, as it is later, when it stands in the running statistics.
    """
    mean, variance, count = observed(x, 1)
    norm = torch.nn.functional.batch_norm
    return norm(x, mean, variance, weight, bias, False, 0.0, epsilon), mean, variance, count


def batches(
    inputs: Sequence[Tensor], size: int, check: Callable[[], None]
) -> Iterator[tuple[Tensor, ...]]:
    """Yield the inputs in batches that differ by at most one sample, none of a single one.

    Raises:
        RepairError: fewer than two samples.
    """
    samples = len(inputs[0])
    if samples < 2:
        raise RepairError(
            f"The statistics of channels need at least 2 training inputs; {samples} was given."
        )
    number = min(math.ceil(samples / size), samples // 2)
    for part in zip(*(tensor.tensor_split(number) for tensor in inputs), strict=True):
        check()
        yield part
