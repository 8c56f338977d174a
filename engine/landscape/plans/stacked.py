"""Many points in one set of tensors, [P, …] each: formed together, folded together.

The models lie flat beside each other, so that P points take K operations however many tensors a
model has: on a GPU every operation costs microseconds, whatever its size. A model whose
coefficient is 0 takes no part, whatever it holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from engine.landscape.plan import Task, renewed
from engine.landscape.plans.parts import Parts
from engine.landscape.span import Span


class Stack:
    """Forms P points for the per-point part of a Program, over the P points before.

    Args:
        parts: of the task's Program, in their plain layout.
        task: models, and what is done to every formed point.
        points: P.
    """

    def __init__(self, parts: Parts, task: Task, points: int) -> None:
        self._parts, self._task = parts, task
        whole = task.reset is not None or task.change is not None
        names = frozenset(parts.whole.parameters) if whole else parts.formed
        span = task.span.restricted(names)
        first = span.models[0]
        floating = [name for name, tensor in first.items() if tensor.is_floating_point()]
        self._flat = [_flat(span, k, floating, task.span.dtype) for k in range(len(span.models))]
        self._buffer = self._flat[0].new_empty(points, len(self._flat[0]))
        self.fixed: Mapping[str, Tensor] = {
            name: tensor.clone() for name, tensor in first.items() if not tensor.is_floating_point()
        }
        """Tensors of whole numbers, which all points share."""
        sizes = [first[name].numel() for name in floating]
        parted = zip(floating, self._buffer.split(sizes, dim=1), strict=True)
        self._views = {name: part.view(points, *first[name].shape) for name, part in parted}

    def form(self, rows: Tensor) -> Mapping[str, Tensor]:
        """Return the points' tensors, [P, …] each; the next call overwrites them.

        Args:
            rows: affine weights, float64 [P, K].
        """
        combine(rows, self._flat, self._buffer)
        points = dict(self._views)
        if self._task.reset is not None or self._task.change is not None:
            for place, row in enumerate(rows.tolist()):
                self._renew(row, {name: view[place] for name, view in self._views.items()})
        for fold in self._parts.folds:
            fold.apply(points)
        return points

    def _renew(self, row: Sequence[float], point: Mapping[str, Tensor]) -> None:
        """Write the statistics and repairs of one point into its place."""
        task, params = self._task, {**point, **self.fixed}
        for name, value in renewed(task, self._parts.whole, row, params, task.reset).items():
            point[name].copy_(value)


def combine(rows: Tensor, values: Sequence[Tensor | None], into: Tensor) -> Tensor:
    """Write Σ c_k·v_k of every row into `into`, [P, *shape], and return it.

    Args:
        rows: float64 [P, K].
        values: K tensors [*shape]; None where every row has a coefficient of 0.
    """
    weights = rows.to(into.device, into.dtype)
    into.zero_()
    for model, value in enumerate(values):
        if value is not None:
            weight = weights[:, model].view(-1, *[1] * value.ndim)
            into.add_(torch.where(weight == 0, 0, weight * value))
    return into


def _flat(span: Span, model: int, names: Sequence[str], dtype: torch.dtype) -> Tensor:
    """Return one model's tensors one after the other in one of their precision of points."""
    tensors = [span.models[model][name].reshape(-1).to(dtype) for name in names]
    return torch.cat(tensors) if tensors else torch.empty(0, dtype=dtype)
