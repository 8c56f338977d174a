"""Ways to evaluate points that share work; each equals the plain one (`engine.landscape.plan`)."""

from engine.landscape.plans.adapted import Adapted
from engine.landscape.plans.hoisted import SHARED_BYTES
from engine.landscape.plans.precision import (
    PRECISIONS,
    batched,
    exact,
    fast,
    has_bfloat16,
    loss_error,
    loss_errors,
    plan_for,
    warning,
)

__all__ = [
    "PRECISIONS",
    "SHARED_BYTES",
    "Adapted",
    "batched",
    "exact",
    "fast",
    "has_bfloat16",
    "loss_error",
    "loss_errors",
    "plan_for",
    "warning",
]
