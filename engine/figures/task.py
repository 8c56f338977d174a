"""A result's own words and numbers: what its loss is called, and how large a small one is.

Results stored before other tasks were known are classifications.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.data.task import CLASSIFICATION, REGRESSION, TASKS, Task
from engine.figures.numbers import is_number, percent, plain, power_of_ten

ROUNDS_TO_ZERO = 0.005


@dataclass(frozen=True)
class Words:
    """How a result's numbers are written.

    Attributes:
        task: what the models were asked.
        small: a difference of losses below this counts as none: what rounds to .00 nats, or half
            a per cent of the variance of a regression's targets.
    """

    task: Task = CLASSIFICATION
    small: float = ROUNDS_TO_ZERO

    def loss(self, value: float | None, digits: int = 3) -> str:
        """Write a loss or barrier; a regression's, of any scale, with significant digits."""
        if self.task is not REGRESSION or not is_number(value) or value == 0:
            return plain(value, digits)
        decimals = digits - 1 - math.floor(math.log10(abs(value)))
        if not -1 <= decimals <= digits + 2:
            return power_of_ten(value)
        return plain(value, max(decimals, 0))

    def loss_with_error(self, value: float | None, error: float | None) -> str:
        """Write a loss with its standard error where both are known: .842 ± .009."""
        if not is_number(value) or not is_number(error):
            return self.loss(value)
        return f"{self.loss(value)} ± {self.loss(error)}"

    def score(self, share: float | None) -> str:
        """Write a share of right answers with its sign."""
        return f"{percent(share)}\u202f%" if is_number(share) else plain(None)

    @property
    def output(self) -> str:
        """What one number that the model returns is called."""
        return "output" if self.task is REGRESSION else "logit"

    def point(self, values: Mapping[str, Any]) -> dict[str, str]:
        """Return what is told of a network beside its loss: title → text."""
        told = {}
        if self.task.score:
            told[self.task.score] = self.score(values.get("accuracy"))
        if self.task.derived:
            told[self.task.derived] = plain(values.get(DERIVED_KEYS[self.task.derived]))
        return told


DERIVED_KEYS: Mapping[str, str] = {"perplexity": "perplexity", "R²": "r2"}


def words(summary: Mapping[str, Any]) -> Words:
    """Return how a result's numbers are written."""
    told = summary.get("task") or {}
    task = TASKS.get(told.get("kind", ""), CLASSIFICATION)
    spread = (told.get("baseline") or {}).get("test")
    if task is REGRESSION and is_number(spread) and spread > 0:
        return Words(task, ROUNDS_TO_ZERO * spread)
    return Words(task)
