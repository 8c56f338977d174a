"""A plan adapted to the graph: equal to the plain one to rounding, and faster.

First layers once per model (`hoist.py`), BatchNorm folded at every point (`fold.py`), channels
last (`channels.py`), pointwise ops in place (`reuse.py`), a point's weights formed once in one
buffer (`point.py`). What applies follows by fixed rules from the graph, the sizes and the kind of
device, never from a clock: so a run that is resumed, or spread over processes, has the bits of
an undisturbed one.

On GPUs, where the model is small, or where it is asked for, several points are evaluated at once
(`batched.py`).

Before a Program's parts are used, they and the Program run two samples (`agree.py`); should they
differ by more than rounding can explain, or not run at all, points are evaluated the plainer way,
and `sentence` says so.
"""

from __future__ import annotations

from math import prod
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from engine.landscape.plan import Runner, Task, plain
from engine.landscape.plans.agree import NOT_AGREEING, disagreement
from engine.landscape.plans.batched import Batched, chunk_for
from engine.landscape.plans.hoisted import SHARED_BYTES, Hoisted
from engine.landscape.plans.parts import Parts, make_parts
from engine.landscape.plans.shared import Shared
from engine.program import Program

MOST_POINTS = 32
"""Of a group that shares the values of a batch."""

PLAINLY = f"point by point: {NOT_AGREEING}"


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
        several: whether to evaluate several points at once; None on GPUs where the model is small.
    """

    def __init__(
        self,
        shared_bytes: int = SHARED_BYTES,
        *,
        hoist: bool | None = None,
        lower: torch.dtype | None = None,
        several: bool | None = None,
    ) -> None:
        self._shared_bytes, self._hoist, self._lower = shared_bytes, hoist, lower
        self._several = several
        self._parts: WeakKeyDictionary[Program, dict[object, Parts | str]] = WeakKeyDictionary()
        self._kept: tuple[object, tuple[Tensor, ...], Hoisted] | None = None
        self.sentence = "not used yet"

    def __call__(self, task: Task) -> Runner:
        """Return what evaluates the task's points; `sentence` then says how."""
        points, why = chunk_for(task, self._several, self._shared_bytes)
        found = self._runner(task, points) if points > 1 else why
        if isinstance(found, Batched):
            return found
        alone = self._runner(task, 1)
        if isinstance(alone, str):
            alone, self.sentence = plain(task), PLAINLY
        if found is not None:
            self.sentence += f"; one point at a time: {found}"
        return alone

    def __getstate__(self) -> dict[str, object]:
        """Travel to another process without what can be made there again."""
        choices = {"hoist": self._hoist, "lower": self._lower, "several": self._several}
        return {"bytes": self._shared_bytes, "choices": choices}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["bytes"], **state["choices"])

    def _runner(self, task: Task, points: int) -> Shared | Batched | str:
        """Return what evaluates so many points at a time, or why the parts for it are not used."""
        # Layers that a repair changes are not affine in the coefficients any more.
        hoist = self._hoist if task.change is None else False
        parts, hoisted, sharing = self._ready(task, hoist, points), None, points
        if isinstance(parts, Parts) and parts.first is not None:
            hoisted, sharing = self._hoisted(parts, task)
            if hoisted is None:
                parts = self._ready(task, False, points)
        if isinstance(parts, str):
            return parts
        done = [parts.sentence] if parts.sentence else []
        if points > 1:
            done.append(f"{points} points at once")
        if self._lower is not None:
            where = "throughout" if hoisted is None else "after the first layers"
            done.append(f"{str(self._lower)[6:]} {where}")
        self.sentence = "; ".join(done)
        if points > 1:
            return Batched(task, parts, hoisted, points, self._lower)
        return Shared(task, parts, hoisted, sharing, self._lower)

    def _ready(self, task: Task, hoist: bool | None, points: int) -> Parts | str:
        """Return the Program's parts, or why they are not used."""
        known = self._parts.setdefault(task.program, {})
        device = task.inputs[0].device
        key = (device, task.span.dtype, hoist, points > 1)
        if key not in known:
            parts = make_parts(task.program, device, hoist=hoist, stacked=points > 1)
            known[key] = disagreement(parts, task, points) or parts
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
