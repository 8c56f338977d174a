"""One point's tensors, formed once in one buffer, statistics recomputed, BatchNorms folded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from engine.landscape.plan import Task, renewed
from engine.landscape.plans.channels import channels_last
from engine.landscape.plans.parts import Parts
from engine.landscape.span import PointBuffer
from engine.landscape.statistics import ResetData


class PointMaker:
    """Forms points for the per-point part of a Program, each over the one before.

    Args:
        parts: of the task's Program.
        task: models, and the training inputs of a reset.
    """

    def __init__(self, parts: Parts, task: Task) -> None:
        self._parts, self._task, self._reset = parts, task, task.reset
        whole = task.reset is not None or task.change is not None
        names = frozenset(parts.whole.parameters) if whole else parts.formed
        span = task.span.restricted(names)
        self._buffer = PointBuffer(span, parts.weights, dtype=task.span.dtype)
        if task.reset is not None and parts.weights:
            inputs = tuple(map(channels_last, task.reset.tensors))
            self._reset = ResetData(inputs, task.reset.batch_size)

    def form(self, row: Sequence[float]) -> Mapping[str, Tensor]:
        """Return a point's tensors as the per-point part takes them; the next call overwrites them.

        Args:
            row: one weight per model, [K].
        """
        params = dict(self._buffer.form(row))
        params |= renewed(self._task, self._parts.whole, row, params, self._reset)
        for fold in self._parts.folds:
            fold.apply(params)
        return params
