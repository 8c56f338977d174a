"""A plan adapted to the graph: equal to the plain one to rounding, and faster.

First layers once per model (`hoist.py`), BatchNorm folded at every point (`fold.py`), channels
last (`channels.py`), pointwise ops in place (`reuse.py`), a point's weights formed once in one
buffer (`point.py`). What applies follows by fixed rules from the graph, the sizes and the kind of
device, never from a clock: so a run that is resumed, or spread over processes, has the bits of
an undisturbed one.

Before a Program's parts are used, they and the Program run two samples (`agree.py`); should they
differ by more than rounding can explain, points are evaluated the plain way, and `sentence`
says so.
"""

from __future__ import annotations

from math import prod
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from engine.landscape.plan import Runner, Task, plain
from engine.landscape.plans.agree import agrees
from engine.landscape.plans.hoisted import SHARED_BYTES, Hoisted
from engine.landscape.plans.parts import Parts, make_parts
from engine.landscape.plans.shared import Shared
from engine.program import Program

MOST_POINTS = 32
"""Of a group that shares the values of a batch."""

NOT_AGREEING = "point by point: the faster way did not agree with the plain one on this model"


class Adapted:
    """A plan with the memory of what it has made ready; make one per study.

    Values computed once per model are kept for the next call on the same tensors. A tensor that
    torch knows to be written to counts as another; make a new plan after writing to memory that
    torch shares with something else.

    Args:
        shared_bytes: most bytes of such values, or of the weights of a group of points.
        hoist: whether to compute first layers once per model; None where it pays.
        lower: the precision of all that comes after them, and of the rest of the point; None
            keeps that of the span (`precision.py`).
    """

    def __init__(
        self,
        shared_bytes: int = SHARED_BYTES,
        *,
        hoist: bool | None = None,
        lower: torch.dtype | None = None,
    ) -> None:
        self._shared_bytes, self._hoist, self._lower = shared_bytes, hoist, lower
        self._parts: WeakKeyDictionary[Program, dict[object, Parts | None]] = WeakKeyDictionary()
        self._kept: tuple[object, tuple[Tensor, ...], Hoisted] | None = None
        self.sentence = "not used yet"

    def __call__(self, task: Task) -> Runner:
        """Return what evaluates the task's points; `sentence` then says how."""
        # Layers that a repair changes are not affine in the coefficients any more.
        hoist = self._hoist if task.change is None else False
        parts, hoisted, points = self._ready(task, hoist), None, 1
        if parts is not None and parts.first is not None:
            hoisted, points = self._hoisted(parts, task)
            if hoisted is None:
                parts = self._ready(task, False)
        if parts is None:
            self.sentence = NOT_AGREEING
            return plain(task)
        self.sentence = parts.sentence
        if self._lower is not None:
            where = "throughout" if hoisted is None else "after the first layers"
            self.sentence += f"; {str(self._lower)[6:]} {where}"
        return Shared(task, parts, hoisted, points, self._lower)

    def __getstate__(self) -> dict[str, object]:
        """Travel to another process without what can be made there again."""
        return {"bytes": self._shared_bytes, "hoist": self._hoist, "lower": self._lower}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["bytes"], hoist=state["hoist"], lower=state["lower"])

    def _ready(self, task: Task, hoist: bool | None) -> Parts | None:
        """Return the Program's parts, None where they do not agree with it."""
        known = self._parts.setdefault(task.program, {})
        device = task.inputs[0].device
        key = (device, task.span.dtype, hoist)
        if key not in known:
            parts = make_parts(task.program, device, hoist=hoist)
            known[key] = parts if agrees(parts, task) else None
        return known[key]

    def _hoisted(self, parts: Parts, task: Task) -> tuple[Hoisted | None, int]:
        """Return the values to share and how many points share a batch; None where too large."""
        models, itemsize = len(task.span.models), task.span.dtype.itemsize
        if models * len(task.inputs[0]) * parts.hoisting.numbers * itemsize <= self._shared_bytes:
            return self._for_all_points(parts, task), 1
        weights = sum(prod(task.program.parameters[name].shape) for name in parts.formed)
        points = min(self._shared_bytes // max(1, weights * itemsize), MOST_POINTS)
        # Fewer points than models would compute more first layers than they save.
        if points < 2 * models:
            return None, 1
        return Hoisted(parts, task.span, task.inputs, kept=False), points

    def _for_all_points(self, parts: Parts, task: Task) -> Hoisted:
        """Return values for the whole data set: those of the last call where they are the same."""
        assert parts.first is not None
        read = [model[name] for model in task.span.models for name in parts.first.parameters]
        held = (*read, *task.inputs)
        key = (parts, task.batch_size, *((id(t), _version(t)) for t in held))
        if self._kept is None or self._kept[0] != key:
            # The tensors stay referred to, so that no other can take their place in memory.
            self._kept = (key, held, Hoisted(parts, task.span, task.inputs, kept=True))
        return self._kept[2]


def _version(tensor: Tensor) -> int:
    """Return how often torch wrote to a tensor; it does not count for inference tensors."""
    return 0 if tensor.is_inference() else tensor._version
