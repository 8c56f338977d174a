"""Whether a Program's parts compute what the Program computes, seen on a few samples of the task.

A check of this very model, before its first use: a graph can hold an op that depends on memory
layout in a way that no rule knows, or one that does not take several points at once.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from engine.errors import ProgramError
from engine.landscape.plan import Runner, Task, plain
from engine.landscape.plans.batched import Batched
from engine.landscape.plans.hoisted import Hoisted
from engine.landscape.plans.parts import Parts
from engine.landscape.plans.shared import Shared

SAMPLES = 2
TOLERANCE = {torch.float32: 1e-3, torch.float64: 1e-9}
"""Of the largest output: far above rounding, far below what a wrong rewriting does."""

NOT_AGREEING = "the faster way did not agree with the plain one on this model"


def disagreement(parts: Parts, task: Task, points: int = 1) -> str | None:
    """Return why parts are not used, None where they agree with the Program on two samples.

    Args:
        parts: of the task's Program, made for stacks where there are several points.
        task: what is evaluated.
        points: at a time; one is compared at the mean of the models, the second at the first.

    Raises:
        ProgramError: the Program itself does not run on these tensors.
    """
    models = len(task.span.models)
    rows = torch.full((min(points, 2), models), 1 / models, dtype=torch.float64)
    rows[1:] = torch.eye(models, dtype=torch.float64)[:1]
    few = replace(task, inputs=tuple(t[:SAMPLES] for t in task.inputs), reset=None, change=None)
    wanted = [_outputs(plain(few), row[None])[0] for row in rows]
    try:
        hoisted = None if parts.first is None else Hoisted(parts, few.span, few.inputs, kept=False)
        if points == 1:
            found = _outputs(Shared(few, parts, hoisted, 1), rows)
        else:
            found = _at_once(Batched(few, parts, hoisted, len(rows)), rows)
    except ProgramError as error:
        return NOT_AGREEING if points == 1 else _unable(str(error))
    tolerance = TOLERANCE[task.span.dtype]
    agree = all(_close(one, other, tolerance) for one, other in zip(found, wanted, strict=True))
    return None if agree else NOT_AGREEING


def _unable(message: str) -> str:
    """Return why several points do not run at once, from what torch says."""
    op = re.search(r"aten::\w+", message)
    if op is None:
        return message.splitlines()[0]
    return f"torch does not take several at once through {op.group()}"


def _close(found: Tensor, wanted: Tensor, tolerance: float) -> bool:
    if found.shape != wanted.shape or found.dtype != wanted.dtype:
        return False
    # Models that diverge tell nothing; both ways then say so.
    if not bool(wanted.isfinite().all()):
        return True
    return float((found - wanted).abs().max()) <= tolerance * float(wanted.abs().max())


def _at_once(runner: Batched, rows: Tensor) -> Tensor:
    # An op that torch would run point by point inside is slower at once than it is alone.
    functorch: Any = getattr(torch._C, "_functorch")  # noqa: B009
    before = functorch._is_vmap_fallback_enabled()
    functorch._set_vmap_fallback_enabled(False)
    try:
        return _outputs(runner, rows)
    finally:
        functorch._set_vmap_fallback_enabled(before)


def _outputs(runner: Runner, rows: Tensor) -> Tensor:
    return torch.cat([outputs for _, outputs in runner.logits(rows)], dim=1)
