"""What a curve's training sees, says while it runs and leaves behind."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor


@dataclass(frozen=True)
class Samples:
    """What a curve is trained on.

    Attributes:
        inputs: one tensor [N, *shape] per input of the program.
        targets: classes [N], tokens [N, T] or values [N, …].
    """

    inputs: tuple[Tensor, ...]
    targets: Tensor


@dataclass(frozen=True)
class BendProgress:
    """A finished step of all steps, and the loss of its batch at its t."""

    step: int
    steps: int
    loss: float


@dataclass(frozen=True)
class BendResult:
    """Trained bends.

    Attributes:
        bends: in the order of the curve, with every tensor of the program, in float32 or wider;
            running statistics are interpolated, not measured.
        losses: mean loss of each step's batch, float64 [steps taken]; the last one is NaN or
            infinite where the training diverged.
        places: t of each step, [steps taken].
        steps: how many there should be.
        diverged: None, or a sentence saying where and why the training ended early; the bends are
            then those before that step.
    """

    bends: tuple[dict[str, Tensor], ...]
    losses: np.ndarray
    places: np.ndarray
    steps: int
    diverged: str | None
