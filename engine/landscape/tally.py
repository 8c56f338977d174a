"""A Tally: what evaluating points on samples adds up to.

Sums, not means, are kept, in float64: so loss, accuracy and their standard errors come from one
pass, shards of the data are added with `+`, points are joined with `concat`, and resuming a run
is exact. The standard errors are those of a mean over independently drawn samples. Where a
sample is a sequence of several tokens, means are per token and the standard errors are those of
a ratio of two sums over independently drawn sequences (Cochran 1977, section 6.3: the residual
of a sequence is its loss minus the mean loss times its number of tokens); with sequences of one
token both are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.errors import LandscapeError


@dataclass(frozen=True)
class TokenSums:
    """What else is summed where a sample is a sequence of n tokens, with s its loss, c its hits.

    Attributes:
        number: Σ n, the tokens that count.
        square: Σ n².
        correct_square: Σ c², float64 [G].
        loss_number: Σ s·n, float64 [G].
        correct_number: Σ c·n, float64 [G].
    """

    number: int
    square: int
    correct_square: Tensor
    loss_number: Tensor
    correct_number: Tensor

    def __add__(self, other: TokenSums) -> TokenSums:
        """Return the sums over both sets of sequences."""
        return TokenSums(
            self.number + other.number,
            self.square + other.square,
            self.correct_square + other.correct_square,
            self.loss_number + other.loss_number,
            self.correct_number + other.correct_number,
        )


@dataclass(frozen=True)
class Tally:
    """Per-point sums over the same samples; NaN where the model returned NaN.

    Attributes:
        loss_sum: loss summed over samples (`loss.py`), float64 [G].
        loss_square_sum: squared loss summed over samples, float64 [G].
        correct: number of samples, or of tokens, that are right, float64 [G]; NaN where the task
            knows no right and wrong.
        count: number of samples.
        tokens: further sums of a language model; None where a sample is one answer.
    """

    loss_sum: Tensor
    loss_square_sum: Tensor
    correct: Tensor
    count: int
    tokens: TokenSums | None = None

    @property
    def loss(self) -> Tensor:
        """Mean loss per sample, or per token, float64 [G]."""
        return self.loss_sum / self._answers

    @property
    def loss_se(self) -> Tensor:
        """Standard error of `loss`, float64 [G]; NaN for a single sample."""
        number = None if self.tokens is None else self.tokens.loss_number
        return self._standard_error(self.loss_sum, self.loss_square_sum, number)

    @property
    def accuracy(self) -> Tensor:
        """Share of samples, or of tokens, that are right, 0 to 1, float64 [G]."""
        return self.correct / self._answers

    @property
    def accuracy_se(self) -> Tensor:
        """Standard error of `accuracy`, float64 [G]; NaN for a single sample."""
        if self.tokens is None:
            return self._standard_error(self.correct, self.correct, None)
        return self._standard_error(
            self.correct, self.tokens.correct_square, self.tokens.correct_number
        )

    @property
    def _answers(self) -> int:
        return self.count if self.tokens is None else self.tokens.number

    def _standard_error(self, total: Tensor, squares: Tensor, number: Tensor | None) -> Tensor:
        if self.count < 2:
            return torch.full_like(total, torch.nan)
        if self.tokens is None or number is None:
            variance = (squares - total**2 / self.count) / (self.count - 1)
            # Rounding may leave a tiny negative number where all samples are equal; NaN stays NaN.
            return (variance.clamp(min=0) / self.count).sqrt()
        mean = total / self.tokens.number
        residuals = squares - 2 * mean * number + mean**2 * self.tokens.square
        variance = residuals.clamp(min=0) * (self.count / (self.count - 1))
        return variance.sqrt() / self.tokens.number

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
        tokens = None
        if self.tokens is not None and other.tokens is not None:
            tokens = self.tokens + other.tokens
        elif self.tokens is not other.tokens:
            raise LandscapeError(
                "Tallies of classes and of tokens cannot be added: shards are of one data set."
            )
        return Tally(
            self.loss_sum + other.loss_sum,
            self.loss_square_sum + other.loss_square_sum,
            self.correct + other.correct,
            self.count + other.count,
            tokens,
        )

    @staticmethod
    def concat(tallies: Sequence[Tally]) -> Tally:
        """Return one tally of all points, in order.

        Raises:
            LandscapeError: there is none, or they are over different numbers of samples.
        """
        counts = sorted({tally.count for tally in tallies})
        parts = [tally.tokens for tally in tallies if tally.tokens is not None]
        numbers = {(part.number, part.square) for part in parts}
        if len(counts) != 1 or len(numbers) > 1 or len(parts) not in (0, len(tallies)):
            raise LandscapeError(
                f"Tallies can be joined only over the same samples; these have counts {counts}."
            )
        return Tally(
            torch.cat([tally.loss_sum for tally in tallies]),
            torch.cat([tally.loss_square_sum for tally in tallies]),
            torch.cat([tally.correct for tally in tallies]),
            counts[0],
            _joined(parts) if parts else None,
        )


def _joined(parts: Sequence[TokenSums]) -> TokenSums:
    """Return the sums of all points, in order, over the same sequences."""
    return TokenSums(
        parts[0].number,
        parts[0].square,
        torch.cat([part.correct_square for part in parts]),
        torch.cat([part.loss_number for part in parts]),
        torch.cat([part.correct_number for part in parts]),
    )
