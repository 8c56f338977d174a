"""What a precision costs in a comparison: the loss error at a few of its points, said in words."""

from __future__ import annotations

import math

import torch

from engine.landscape import Span
from engine.landscape.plans import loss_error, plan_for, warning
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
    error = loss_error(
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
    return summary | {
        "loss_error": error,
        "points": len(POINTS),
        "sentence": f"{WORDS[work.precision]}; {_measured(error)}",
    }


def _measured(error: float) -> str:
    where = f"at A, B and π(B), between them and at their mean ({len(POINTS)} points)"
    if math.isnan(error):
        return f"what that costs could not be measured: no loss {where} is a number."
    if math.isinf(error):
        return (
            f"{where} not every {SPLIT} loss is a number in this precision where it is one "
            "exactly. Choose exact."
        )
    return f"{where} the {SPLIT} loss is off by at most {100 * error:.2g} %."
