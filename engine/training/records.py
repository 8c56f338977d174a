"""What a training says while it runs and what it leaves behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from engine.training.options import TrainOptions
from engine.training.recipes import Shape, find_recipe


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
    """A trained state dict on the CPU, one record per epoch, and the options that made it.

    `shape` is what the module is built from; a batch of the kind that it takes is `example`.
    """

    tensors: Mapping[str, Tensor]
    history: tuple[EpochRecord, ...]
    options: TrainOptions
    shape: Shape
    example: Tensor

    def module(self) -> nn.Module:
        """Return the trained module, in eval mode."""
        module = find_recipe(self.options.recipe).build(self.shape)
        module.load_state_dict(dict(self.tensors))
        return module.eval()
