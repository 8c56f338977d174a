"""A Plan: how points of a span are evaluated; here the plain one, point by point.

The evaluator adds up losses and knows nothing else: a plan is a function that takes a `Task`
once and returns a `Runner`, which yields logits for a few points at a time, batch by batch.
Work that points share (operations hoisted out of the loop, folded layers, several points in one
kernel) is a matter of further plans; each must equal this one to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from engine.landscape.memory import MEMORY_BOUND
from engine.landscape.span import PointBuffer, Span
from engine.landscape.statistics import ResetData, reset_statistics
from engine.program import Program

Change = Callable[[Sequence[float], Mapping[str, Tensor]], Mapping[str, Tensor]]
"""Takes a point's coefficients [K] and tensors; returns those that are other than they were."""


class Repair(Protocol):
    """What is done to every point once it is formed, such as `engine.repair.PointRepair`."""

    def bound(
        self,
        program: Program,
        span: Span,
        device: torch.device | str,
        check: Callable[[], None],
    ) -> Change:
        """Return what changes the points of a span.

        Args:
            program: the model.
            span: K models, where they are.
            device: where points are formed.
            check: called between batches.
        """
        ...


@dataclass(frozen=True)
class Task:
    """What stays the same over all points; every tensor is on the device.

    Attributes:
        program: the model.
        span: the models that points are combinations of.
        inputs: one tensor [N, *shape] per input of the program.
        reset: training inputs for BatchNorm statistics, or None to interpolate them.
        batch_size: samples at a time.
        check: called between batches; raises CancelledError when the user cancelled.
        change: what is done to a formed point, or None; a point is then no longer affine in the
            coefficients.
        memory_bound: most bytes of activations.
    """

    program: Program
    span: Span
    inputs: tuple[Tensor, ...]
    reset: ResetData | None
    batch_size: int
    check: Callable[[], None]
    change: Change | None = None
    memory_bound: int = MEMORY_BOUND


class Runner(Protocol):
    """A plan bound to a task."""

    points: int
    """How many points `logits` takes at a time, at most."""

    def logits(self, coefficients: Tensor) -> Iterator[tuple[slice, Tensor]]:
        """Yield (samples, outputs [P, n, …]) until all samples are covered, in order.

        Args:
            coefficients: affine weights of P points, float64 [P, K].
        """
        ...


Plan = Callable[[Task], Runner]


def plain(task: Task) -> Runner:
    """Evaluate one point at a time: form its weights, then run the batches."""
    return _Plain(task)


def renewed(
    task: Task,
    program: Program,
    row: Sequence[float],
    params: Mapping[str, Tensor],
    reset: ResetData | None,
) -> dict[str, Tensor]:
    """Return what a reset, and then a repair, make of a formed point: the tensors that change.

    Args:
        task: what is done to every formed point.
        program: the task's own, or its twin in another layout.
        row: the point's weights, one per model, [K].
        params: the point, left as it is.
        reset: the task's own, or its twin in another layout.
    """
    changed: dict[str, Tensor] = {}
    if reset is not None:
        changed |= reset_statistics(
            program, params, reset.tensors, batch_size=reset.batch_size, check=task.check
        )
    if task.change is not None:
        changed |= task.change(row, {**params, **changed})
    return changed


class _Plain:
    points = 1

    def __init__(self, task: Task) -> None:
        self._task = task
        self._buffer = PointBuffer(task.span)

    def logits(self, coefficients: Tensor) -> Iterator[tuple[slice, Tensor]]:
        task = self._task
        params = self._buffer.form(coefficients[0].tolist())
        row = coefficients[0].tolist()
        params = {**params, **renewed(task, task.program, row, params, task.reset)}
        for start in range(0, len(task.inputs[0]), task.batch_size):
            task.check()
            samples = slice(start, start + task.batch_size)
            outputs = task.program(params, *(tensor[samples] for tensor in task.inputs))
            yield samples, torch.unsqueeze(outputs, 0)
