"""Whether a Program's parts compute what the Program computes, seen on a few samples of the task.

A check of this very model, before its first use: a graph can hold an op that depends on memory
layout in a way that no rule knows.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from engine.errors import ProgramError
from engine.landscape.plan import Task, plain
from engine.landscape.plans.hoisted import Hoisted
from engine.landscape.plans.parts import Parts
from engine.landscape.plans.shared import Shared

SAMPLES = 2
TOLERANCE = {torch.float32: 1e-3, torch.float64: 1e-9}
"""Of the largest output: far above rounding, far below what a wrong rewriting does."""


def agrees(parts: Parts, task: Task) -> bool:
    """Return whether parts and Program agree at the mean of the models, on two samples.

    Raises:
        ProgramError: the Program itself does not run on these tensors.
    """
    models = len(task.span.models)
    row = torch.full((1, models), 1 / models, dtype=torch.float64)
    few = replace(task, inputs=tuple(t[:SAMPLES] for t in task.inputs), reset=None, change=None)
    wanted = _outputs(plain(few).logits(row))
    try:
        hoisted = None if parts.first is None else Hoisted(parts, few.span, few.inputs, kept=False)
        found = _outputs(Shared(few, parts, hoisted, 1).logits(row))
    except ProgramError:
        return False
    if found.shape != wanted.shape or found.dtype != wanted.dtype:
        return False
    # Models that diverge at their mean tell nothing; both then say so.
    if not bool(wanted.isfinite().all()):
        return True
    off = float((found - wanted).abs().max())
    return off <= TOLERANCE[task.span.dtype] * float(wanted.abs().max())


def _outputs(batches: object) -> Tensor:
    return torch.cat([outputs for _, outputs in batches], dim=1)  # type: ignore[attr-defined]
