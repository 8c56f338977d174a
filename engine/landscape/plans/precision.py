"""Precision is the user's choice: `exact`, or another with its error measured, never silently.

`exact` computes in the span's precision, float32 unless a model has float64, and forbids TF32.
`tf32` is the same with TF32 allowed, which CUDA devices have (`engine.landscape.tf32`). `fast`
computes the first layers as `exact` does and everything after them in bfloat16, whose 8 bits of
significand cost losses about two digits; where a machine multiplies bfloat16 in hardware it is up
to twice as fast, where it does not it is slower. `warning` says before a run where a precision
brings nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from engine.errors import LandscapeError
from engine.landscape.evaluator import Samples, evaluate
from engine.landscape.plan import Plan, Repair
from engine.landscape.plans.adapted import Adapted
from engine.landscape.span import Span
from engine.landscape.statistics import ResetData
from engine.program import Program


def exact() -> Adapted:
    """Return a new plan that equals the plain one to rounding: what studies use by default."""
    return Adapted()


def fast() -> Adapted:
    """Return a new plan in bfloat16 after the first layers."""
    return Adapted(hoist=True, lower=torch.bfloat16)


def batched() -> Adapted:
    """Return a new plan like `exact` that evaluates several points at once on any device."""
    return Adapted(several=True)


PRECISIONS: Mapping[str, Callable[[], Adapted]] = MappingProxyType(
    {"exact": exact, "tf32": exact, "fast": fast}
)


def plan_for(precision: str) -> Adapted:
    """Return a new plan of a precision.

    Raises:
        LandscapeError: there is no such precision.
    """
    if precision not in PRECISIONS:
        raise LandscapeError(
            f"There is no precision {precision!r}; choose one of {', '.join(PRECISIONS)}."
        )
    return PRECISIONS[precision]()


def has_bfloat16(device: torch.device | str) -> bool:
    """Return whether a device multiplies bfloat16 in hardware."""
    if torch.device(device).type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def warning(precision: str, device: torch.device | str) -> str | None:
    """Return what the user should know before a run in a precision, None where nothing."""
    if precision == "tf32" and torch.device(device).type != "cuda":
        return "TF32 is a precision of CUDA devices: here tf32 computes as exact does."
    if precision != "fast" or has_bfloat16(device):
        return None
    return (
        "This machine has no bfloat16 instructions: the precision fast is less exact here and "
        "not faster; choose exact."
    )


def loss_errors(
    program: Program,
    span: Span,
    coefficients: Tensor,
    dataset: Samples,
    *,
    plan: Plan,
    tf32: bool = False,
    reset: ResetData | None = None,
    repair: Repair | None = None,
    should_stop: Callable[[], bool] | None = None,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Return the relative error of a plan's mean losses at each of P points, float64 [P].

    NaN where the exact loss is no finite number, or is 0; infinite where it is one and the plan's
    is none.

    Args:
        program, span, coefficients, dataset, reset, repair, should_stop, device: see `evaluate`.
        plan, tf32: measured against the exact ones.
    """

    def losses(way: Plan, allowed: bool) -> Tensor:
        return evaluate(
            program,
            span,
            coefficients,
            dataset,
            reset=reset,
            repair=repair,
            should_stop=should_stop,
            device=device,
            plan=way,
            tf32=allowed,
        ).loss

    true, found = losses(exact(), False), losses(plan, tf32)
    kept = true.isfinite() & (true != 0)
    off = ((found - true) / true).abs().nan_to_num(nan=torch.inf)
    return off.double().where(kept, torch.nan)


def loss_error(
    program: Program,
    span: Span,
    coefficients: Tensor,
    dataset: Samples,
    *,
    plan: Plan,
    **named: Any,
) -> float:
    """Return the largest of `loss_errors`, whose arguments it takes; NaN where none is a number."""
    found = loss_errors(program, span, coefficients, dataset, plan=plan, **named)
    off = found[~found.isnan()]
    return float(off.max()) if len(off) else float("nan")
