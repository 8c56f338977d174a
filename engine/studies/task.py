"""What a comparison asks the models to do: stated, with what its loss is measured against."""

from __future__ import annotations

import math

import torch

from engine.data import Dataset
from engine.data.task import IGNORED, LANGUAGE, REGRESSION, Task
from engine.program import Program
from engine.studies.subject import output_shape

Json = dict[str, object]


def task_summary(program: Program, train: Dataset, test: Dataset) -> Json:
    """Return the task, how it was inferred, and what belongs to its loss.

    `answers` counts what the loss is a mean over (tokens, or samples); `baseline` is, for a
    regression, the mean squared error of always answering the split's mean.
    """
    splits = {"train": train, "test": test}
    summary: Json = {
        "kind": test.task.key,
        "statement": _statement(program, test),
        "answers": {name: _answers(data) for name, data in splits.items()},
    }
    if test.task is REGRESSION:
        summary["baseline"] = {name: baseline(data) for name, data in splits.items()}
    return summary


def baseline(data: Dataset) -> float:
    """Return the mean squared error of always answering the mean target of each output."""
    targets = data.targets.double()
    return float((targets - targets.mean(0)).square().mean())


def derived(task: Task, loss: float, reference: float | None = None) -> Json:
    """Return what else a mean loss says: perplexity, or the share of variance explained.

    Args:
        task: of the loss.
        loss: the mean.
        reference: the split's `baseline`, for a regression.
    """
    if task is LANGUAGE:
        return {"perplexity": math.exp(loss) if loss < math.log(1e300) else math.nan}
    if task is REGRESSION:
        return {"r2": 1 - loss / reference if reference else math.nan}
    return {}


def _answers(data: Dataset) -> int:
    return int((data.targets != IGNORED).sum()) if data.task is LANGUAGE else len(data)


def _statement(program: Program, data: Dataset) -> str:
    """Say which task it is and by what that was told."""
    kind = "floating-point numbers" if data.targets.is_floating_point() else "whole numbers"
    shape = output_shape(program)
    returned = "" if shape is None else f" and the model returns {_batched(shape)}"
    return (
        f"{data.task.title.capitalize()}: the targets are {kind} "
        f"{_batched(tuple(data.targets.shape[1:]))}{returned}, so the loss is "
        f"{data.task.measured}."
    )


def _batched(shape: tuple[int, ...] | torch.Size) -> str:
    return f"[{', '.join(['N', *map(str, shape)])}]"
