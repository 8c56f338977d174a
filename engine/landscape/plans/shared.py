"""Runs a Program's parts at points: batches outside, the points of a group inside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from engine.landscape.plan import Task
from engine.landscape.plans.channels import channels_last
from engine.landscape.plans.hoisted import Hoisted
from engine.landscape.plans.parts import Parts
from engine.landscape.plans.point import PointMaker


class Shared:
    """A Runner over the parts of a Program.

    Args:
        task: what is evaluated.
        parts: of its Program.
        hoisted: the values computed once per model; None where the parts have none.
        points: how many points share the values of a batch, each with its weights in memory.
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
        self._makers: list[PointMaker] = []

    def logits(self, coefficients: Tensor) -> Iterator[tuple[slice, Tensor]]:
        """See `Runner.logits`."""
        task, rows = self._task, coefficients.tolist()
        while len(self._makers) < len(rows):
            self._makers.append(PointMaker(self._parts, task))
        makers = self._makers[: len(rows)]
        points = [self._lowered(maker.form(row)) for maker, row in zip(makers, rows, strict=True)]
        for start in range(0, len(task.inputs[0]), task.batch_size):
            samples = slice(start, start + task.batch_size)
            inputs = tuple(tensor[samples] for tensor in task.inputs)
            if self._parts.weights:
                inputs = tuple(map(channels_last, inputs))
            inputs = tuple(map(self._cast, inputs))
            outputs = []
            for row, params in zip(rows, points, strict=True):
                task.check()
                values = () if self._hoisted is None else self._hoisted.at(row, samples)
                outputs.append(self._parts.rest(params, *inputs, *map(self._cast, values)))
            if self._hoisted is not None:
                self._hoisted.release()
            yield samples, torch.stack(outputs) if len(outputs) > 1 else outputs[0][None]

    def _lowered(self, params: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        if self._lower is None:
            return params
        return {name: self._cast(tensor) for name, tensor in params.items()}

    def _cast(self, tensor: Tensor) -> Tensor:
        if self._lower is None or not tensor.is_floating_point():
            return tensor
        return tensor.to(self._lower)
