"""What a model is asked to do: classification, language modelling or regression; and the words.

Which of them it is follows from the targets: one whole number per sample is a class, a row of
whole numbers is one token per position, floating-point numbers are values to come close to.
The words of a task (its loss, the loss's unit, its score) are kept here once, for every
figure, table and page. No torch is imported.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from engine.errors import DataError

IGNORED = -100
"""A target that is left out of the loss, as in torch's cross-entropy."""

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Task:
    """One kind of question put to a model, in words.

    Attributes:
        key: its name in a result's summary.
        title: how a sentence calls it.
        loss, unit: of the loss; the unit is empty where the loss is in the targets' own.
        score: what the share of right answers is called, or None where there is none.
        derived: what else is computed from the mean loss: "perplexity", "R²" or None.
    """

    key: str
    title: str
    loss: str
    unit: str
    score: str | None
    derived: str | None

    @property
    def measured(self) -> str:
        """The loss with its unit: "cross-entropy in nats per token"."""
        return f"{self.loss} in {self.unit}" if self.unit else self.loss


CLASSIFICATION = Task(
    "classification", "classification", "cross-entropy", "nats", "accuracy", derived=None
)
LANGUAGE = Task(
    "language",
    "language modelling",
    "cross-entropy",
    "nats per token",
    "tokens right",
    derived="perplexity",
)
REGRESSION = Task("regression", "regression", "mean squared error", "", None, derived="R²")

TASKS: Mapping[str, Task] = MappingProxyType(
    {task.key: task for task in (CLASSIFICATION, LANGUAGE, REGRESSION)}
)


def task_of(floating: bool, axes: int) -> Task:
    """Return the task that targets ask for, by their kind and their number of axes."""
    if floating:
        return REGRESSION
    return CLASSIFICATION if axes == 1 else LANGUAGE


def infer_task(floating: bool, targets: Shape, outputs: Shape, name: str) -> tuple[Task, Shape]:
    """Return the task that targets and outputs agree on, and the targets' shape for it.

    Args:
        floating: whether the targets are floating-point numbers, else they are whole.
        targets: one sample's targets, without the batch: () for one number per sample.
        outputs: what the model returns for one sample, without the batch.
        name: of the data set, for the message.

    Raises:
        DataError: they do not belong together; both shapes and the way out are named.
    """
    if floating:
        if _without_ones(targets) == _without_ones(outputs):
            return REGRESSION, outputs
    elif len(outputs) == 1 and math.prod(targets) == 1:
        return CLASSIFICATION, ()
    elif len(outputs) == 2 and targets == outputs[:1]:
        return LANGUAGE, targets
    kind = "floating-point" if floating else "whole-number"
    raise DataError(
        f"{name} has {kind} targets of shape {_batched(targets)}, but the model returns "
        f"{_batched(outputs)}: {_way_out(floating, targets, outputs)}."
    )


def _way_out(floating: bool, targets: Shape, outputs: Shape) -> str:
    if floating and math.prod(targets) == 1 and len(outputs) == 1:
        return "store class numbers as whole numbers, or one target per output for a regression"
    if floating:
        return "a regression needs one target per output"
    if targets == outputs:
        return "store them as floating-point numbers for a regression"
    if len(outputs) == 2:
        return f"a language model needs one token per position, [N, {outputs[0]}]"
    if len(outputs) == 1:
        return "a classifier needs one class number per sample, [N]"
    return "only class scores [N, C], token scores [N, T, V] and regressions are evaluated"


def _batched(shape: Shape) -> str:
    return f"[{', '.join(['N', *map(str, shape)])}]"


def _without_ones(shape: Shape) -> Shape:
    return tuple(size for size in shape if size != 1)
