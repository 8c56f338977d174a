"""Several points at once: one call per operation of the graph for a whole chunk of points.

The per-point part of a Program runs under `torch.func.vmap` over stacked parameters: products
become batched products, convolutions grouped ones. It is for GPUs, which small models leave
idle: there one call costs the same for one point as for twenty. On a CPU, whose cores one point
fills, it brings nothing.

A chunk always has the same number of points; one that lacks some is filled up with its last, so
that a point's products are multiplied alike whatever else is asked. First layers are combined
from the models and BatchNorms folded for all points of a chunk together. Statistics that are
recomputed, and repairs, are made point by point before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

import torch
from torch import Tensor

from engine.landscape.memory import points_at_once
from engine.landscape.plan import Task
from engine.landscape.plans.cost import operations
from engine.landscape.plans.hoisted import Hoisted
from engine.landscape.plans.parts import Parts
from engine.landscape.plans.stacked import Stack
from engine.program import Program

MOST_POINTS = 25
"""Of a chunk: as many as studies evaluate in one piece."""

FEWEST_POINTS = 4
"""Fewer at once are not worth it where a rule decides."""

SMALL_BATCH = 2e10
"""Operations of one point on one batch; from about here on one point occupies a large GPU for
longer than it takes to launch its kernels. By reckoning: it was not measured."""


class Batched:
    """A Runner that evaluates a chunk of points at a time.

    Args:
        task: what is evaluated.
        parts: of its Program, made for stacks.
        hoisted: the values computed once per model; None where the parts have none.
        points: how many a chunk has.
        lower: the precision in which points are computed; None keeps the span's.
    """

    def __init__(
        self,
        task: Task,
        parts: Parts,
        hoisted: Hoisted | None,
        points: int,
        lower: torch.dtype | None = None,
    ) -> None:
        self.points, self._lower = points, lower
        self._task, self._parts, self._hoisted = task, parts, hoisted
        self._stack: Stack | None = None

    def logits(self, coefficients: Tensor) -> Iterator[tuple[slice, Tensor]]:
        """See `Runner.logits`."""
        task, wanted = self._task, len(coefficients)
        filling = coefficients[-1:].expand(self.points - wanted, -1)
        rows = torch.cat([coefficients, filling])
        if self._stack is None:
            self._stack = Stack(self._parts, task, self.points)
        fixed = self._stack.fixed
        params = {name: self._cast(value) for name, value in self._stack.form(rows).items()}
        for start in range(0, len(task.inputs[0]), task.batch_size):
            task.check()
            samples = slice(start, start + task.batch_size)
            inputs = tuple(self._cast(tensor[samples]) for tensor in task.inputs)
            shared = () if self._hoisted is None else self._hoisted.at_points(rows, samples)
            values = tuple(map(self._cast, shared))
            at_point = partial(_outputs, self._parts.rest, fixed, inputs)
            outputs = torch.func.vmap(at_point)(params, values)
            if self._hoisted is not None:
                self._hoisted.release()
            yield samples, outputs[:wanted]

    def _cast(self, tensor: Tensor) -> Tensor:
        if self._lower is None or not tensor.is_floating_point():
            return tensor
        return tensor.to(self._lower)


def _outputs(
    rest: Program,
    fixed: Mapping[str, Tensor],
    inputs: tuple[Tensor, ...],
    point: Mapping[str, Tensor],
    values: tuple[Tensor, ...],
) -> Tensor:
    """Return the outputs at one point, which stands for all of a chunk."""
    return rest({**point, **fixed}, *inputs, *values)


def chunk_for(task: Task, asked: bool | None, stack_bytes: int) -> tuple[int, str | None]:
    """Return how many points to evaluate at once, and why only one although several were asked.

    Args:
        task: what is evaluated.
        asked: whether several are wanted; None where a rule decides, on GPUs alone.
        stack_bytes: most bytes of the points' tensors.
    """
    if asked is False or (asked is None and not _is_small(task)):
        return 1, None
    points = points_at_once(
        task.program,
        task.batch_size,
        models=len(task.span.models),
        itemsize=task.span.dtype.itemsize,
        memory_bound=task.memory_bound,
        stack_bytes=stack_bytes,
    )
    if points >= (2 if asked else FEWEST_POINTS):
        return min(points, MOST_POINTS), None
    return 1, "two would not fit into memory" if asked else None


def _is_small(task: Task) -> bool:
    """Return whether one point leaves the device idle: a GPU, and little to do per batch."""
    if task.inputs[0].device.type != "cuda":
        return False
    work = sum(map(operations, task.program.graph_module.graph.nodes))
    return work * min(task.batch_size, len(task.inputs[0])) <= SMALL_BATCH
