"""The loss of a landscape: cross-entropy and correctness per sample, added up in float64.

Logits are widened to float64 before the softmax: a confident model's loss of 1e-8 would
otherwise round to 0. NaN logits make the loss and the number of correct samples NaN, never a
number; an infinite loss stays infinite. Only classification, one class per sample, is handled.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.errors import LandscapeError


def loss_sums(logits: Tensor, targets: Tensor) -> Tensor:
    """Return sums over samples of loss, squared loss and correct predictions, float64 [P, 3].

    Args:
        logits: class scores of P points, shape [P, N, C].
        targets: class of each sample, int64 [N], each in 0 … C − 1 (see `check_targets`).
    """
    points, samples, classes = logits.shape
    scores = logits.double().reshape(points * samples, classes)
    repeated = targets.repeat(points)
    losses = F.cross_entropy(scores, repeated, reduction="none")
    hits = (scores.argmax(1) == repeated).double()
    hits = torch.where(losses.isnan(), losses, hits)
    columns = torch.stack((losses, losses.square(), hits), dim=1)
    return columns.view(points, samples, 3).sum(1)


def check_logits(logits: Tensor, samples: int) -> None:
    """Raise LandscapeError unless logits are one row of class scores per sample, [P, N, C]."""
    if logits.ndim != 3 or logits.shape[1] != samples:
        raise LandscapeError(
            f"The model returned shape {list(logits.shape[1:])} for {samples} samples; a "
            f"landscape needs one row of class scores per sample."
        )


def check_targets(targets: Tensor, classes: int) -> None:
    """Raise LandscapeError unless every target is a class that the model has."""
    low, high = int(targets.min()), int(targets.max())
    if low < 0 or high >= classes:
        raise LandscapeError(
            f"The data's classes run from {low} to {high}, but the model has {classes} outputs, "
            f"classes 0 to {classes - 1}; choose data with the model's own classes."
        )
