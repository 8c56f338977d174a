"""What a precision costs in a comparison: the loss error at a few of its points, said in words."""

from __future__ import annotations

import torch
from torch import Tensor

from engine.landscape import Span
from engine.landscape.plans import loss_errors, plan_for, warning
from engine.studies.evaluation import Evaluation

Json = dict[str, object]

SPLIT = "test"
POINTS = (
    *((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    *((1 / 2, 1 / 2, 0), (1 / 2, 0, 1 / 2), (0, 1 / 2, 1 / 2)),
    (1 / 3, 1 / 3, 1 / 3),
)
"""Where it is measured: A, B and π(B), the midpoints between them, and their mean."""

WORDS = {
    "tf32": "Products were rounded as TF32 does",
    "fast": "Everything after the first layers was computed in bfloat16",
}


def precision_summary(evaluation: Evaluation, span: Span) -> Json:
    """Return which precision a comparison has and what that does to its losses.

    Args:
        evaluation: of the comparison.
        span: A, B and π(B).

    Raises:
        CancelledError: the evaluation was told to stop.
    """
    work = evaluation.work
    summary: Json = {
        "kind": work.precision,
        "loss_error": None,
        "points": 0,
        "sentence": None,
        "warning": warning(work.precision, work.device),
    }
    if work.precision == "exact":
        return summary
    errors = loss_errors(
        work.program,
        span,
        torch.tensor(POINTS, dtype=torch.float64),
        work.data[SPLIT],
        plan=plan_for(work.precision),
        tf32=work.tf32,
        reset=work.renewed,
        repair=work.repair,
        should_stop=evaluation.should_stop,
        device=work.device,
    )
    finite = errors[errors.isfinite()]
    return summary | {
        "loss_error": float(finite.max()) if len(finite) else None,
        "points": len(POINTS),
        "sentence": f"{WORDS[work.precision]}; {_measured(errors)}",
    }


def _measured(errors: Tensor) -> str:
    where = f"at A, B and π(B), between them and at their mean ({len(errors)} points)"
    finite, lost = errors[errors.isfinite()], int(errors.isinf().sum())
    if not len(finite) and not lost:
        return f"what that costs could not be measured: no loss {where} is a number."
    parts = []
    if len(finite):
        parts.append(f"{where} the {SPLIT} loss is off by at most {100 * finite.max():.2g} %")
    if lost:
        others = "of those, " if len(finite) else ""
        parts.append(
            f"{others}at {lost} of {len(errors)} points the {SPLIT} loss is no number in this "
            "precision, though it is one exactly: use exact"
        )
    return f"{'; '.join(parts)}."
