"""Learning-rate schedules: constant, and linear warm-up followed by a cosine to zero.

The second is Git Re-Basin's (optax's `warmup_cosine_decay_schedule`): from `START` up to the
peak over the warm-up, then down to zero over all remaining steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable

Schedule = Callable[[int], float]

START = 1e-6


def constant(rate: float) -> Schedule:
    """Return a schedule that is `rate` at every step."""
    return lambda step: rate


def warmup_cosine(peak: float, warmup: int, steps: int) -> Schedule:
    """Return the schedule that rises for `warmup` steps and falls to 0 at step `steps`.

    Args:
        peak: the highest rate, reached at step `warmup` (counted from 0).
        warmup: steps of the linear rise; at most a fifth of all steps are spent on it.
        steps: all steps of the training.
    """
    rise = min(warmup, steps // 5)
    start = min(START, peak)

    def rate(step: int) -> float:
        if step < rise:
            return start + (peak - start) * step / rise
        return peak * 0.5 * (1 + math.cos(math.pi * (step - rise) / (steps - rise)))

    return rate
