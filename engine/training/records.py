"""What a training says while it runs and what it leaves behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from engine.training.options import TrainOptions


@dataclass(frozen=True)
class EpochRecord:
    """One finished epoch, counted from 1.

    The training figures are means over the epoch's steps, while the weights move; the test
    figures belong to the weights at its end.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    test_loss: float
    test_accuracy: float


@dataclass(frozen=True)
class TrainProgress:
    """Where a training is: `step` of `steps` and its batch loss; `finished` ends an epoch."""

    step: int
    steps: int
    epoch: int
    loss: float
    finished: EpochRecord | None = None


@dataclass(frozen=True)
class TrainResult:
    """A trained state dict on the CPU, one record per epoch, and the options that made it."""

    tensors: Mapping[str, Tensor]
    history: tuple[EpochRecord, ...]
    options: TrainOptions
