"""A Tally: what evaluating points on samples adds up to.

Sums, not means, are kept, in float64: so loss, accuracy and their standard errors come from one
pass, shards of the data are added with `+`, points are joined with `concat`, and resuming a run
is exact. The standard errors are those of a mean over independently drawn samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.errors import LandscapeError


@dataclass(frozen=True)
class Tally:
    """Per-point sums over the same samples; NaN where the model returned NaN.

    Attributes:
        loss_sum: cross-entropy summed over samples, in nats, float64 [G].
        loss_square_sum: squared cross-entropy summed over samples, float64 [G].
        correct: number of samples classified correctly, float64 [G].
        count: number of samples.
    """

    loss_sum: Tensor
    loss_square_sum: Tensor
    correct: Tensor
    count: int

    @property
    def loss(self) -> Tensor:
        """Mean cross-entropy per sample, in nats, float64 [G]."""
        return self.loss_sum / self.count

    @property
    def loss_se(self) -> Tensor:
        """Standard error of `loss`, float64 [G]; NaN for a single sample."""
        return self._standard_error(self.loss_sum, self.loss_square_sum)

    @property
    def accuracy(self) -> Tensor:
        """Share of samples classified correctly, 0 to 1, float64 [G]."""
        return self.correct / self.count

    @property
    def accuracy_se(self) -> Tensor:
        """Standard error of `accuracy`, float64 [G]; NaN for a single sample."""
        return self._standard_error(self.correct, self.correct)

    def _standard_error(self, total: Tensor, squares: Tensor) -> Tensor:
        if self.count < 2:
            return torch.full_like(total, torch.nan)
        variance = (squares - total**2 / self.count) / (self.count - 1)
        # Rounding may leave a tiny negative number where all samples are equal; NaN stays NaN.
        return (variance.clamp(min=0) / self.count).sqrt()

    def __add__(self, other: Tally) -> Tally:
        """Return the tally of the same points over both sets of samples.

        Raises:
            LandscapeError: the number of points differs.
        """
        if self.loss_sum.shape != other.loss_sum.shape:
            raise LandscapeError(
                f"Tallies of {len(self.loss_sum)} and {len(other.loss_sum)} points cannot be "
                f"added: shards of the data must cover the same points."
            )
        return Tally(
            self.loss_sum + other.loss_sum,
            self.loss_square_sum + other.loss_square_sum,
            self.correct + other.correct,
            self.count + other.count,
        )

    @staticmethod
    def concat(tallies: Sequence[Tally]) -> Tally:
        """Return one tally of all points, in order.

        Raises:
            LandscapeError: there is none, or they are over different numbers of samples.
        """
        counts = sorted({tally.count for tally in tallies})
        if len(counts) != 1:
            raise LandscapeError(
                f"Tallies can be joined only over the same samples; these have counts {counts}."
            )
        return Tally(
            torch.cat([tally.loss_sum for tally in tallies]),
            torch.cat([tally.loss_square_sum for tally in tallies]),
            torch.cat([tally.correct for tally in tallies]),
            counts[0],
        )
