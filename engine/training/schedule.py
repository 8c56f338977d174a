"""Learning-rate schedules: constant; with a cooldown; warm-up and cosine; held, then a fall.

The cosine is Git Re-Basin's (optax's `warmup_cosine_decay_schedule`): from `START` up to the
peak over the warm-up, then down to zero over all remaining steps. The last is that of curves
between two models.
"""

from __future__ import annotations

import math
from collections.abc import Callable

Schedule = Callable[[int], float]

START = 1e-6
HELD, FALLEN, LAST = 0.5, 0.9, 0.01
COOLDOWN = 0.2


def constant(rate: float) -> Schedule:
    """Return a schedule that is `rate` at every step."""
    return lambda step: rate


def cooldown(rate: float, steps: int) -> Schedule:
    """Return the schedule that is `rate` and over the last fifth falls straight to 0.

    Hägele et al. 2024 (arXiv 2405.18392): a constant rate with a cooldown.

    Args:
        rate: of the first four fifths.
        steps: all steps of the training; the rate would be 0 at step `steps`.
    """
    return lambda step: rate * min(1.0, (1 - step / steps) / COOLDOWN)


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


def hold_then_fall(peak: float, steps: int) -> Schedule:
    """Return the schedule of mode connectivity: held, then straight down to a hundredth.

    Garipov et al. 2018 (arXiv 1802.10026), in their code: the peak for half of the steps, then
    linearly down to a hundredth of it until nine tenths, and that for the rest.

    Args:
        peak: the rate of the first half.
        steps: all steps of the training.
    """

    def rate(step: int) -> float:
        share = step / steps
        fallen = min(max((share - HELD) / (FALLEN - HELD), 0.0), 1.0)
        return peak * (1 - (1 - LAST) * fallen)

    return rate
