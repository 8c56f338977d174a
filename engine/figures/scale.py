"""The colour scale of a plane: loss on a log or linear axis, capped, with ticks in loss units.

Plotly's contour traces know no logarithmic colour axis: log10 of the loss is drawn and the
colour bar is labelled with losses. Losses over the cap are drawn at the cap, and the last
label says so ("≥ 4"). Losses that are not finite stay NaN: they are drawn as diverged.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

CAPS = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0)
CAP_QUANTILE = 0.9  # a tenth of a plane is its far corners, whose losses tell nothing
LEVELS = 18
TICK_GAP = 0.055  # of the bar's length, so that labels never touch


@dataclass(frozen=True)
class LossScale:
    """How losses become colours; `low` and `cap` are losses, `capped` says whether any is cut."""

    log: bool
    low: float
    cap: float
    capped: bool

    def value(self, loss: np.ndarray | float) -> np.ndarray:
        """Return what is drawn for `loss` (any shape): clipped to the scale, NaN where diverged."""
        array = np.asarray(loss, dtype=np.float64)
        finite = np.where(np.isfinite(array), array, np.nan)
        clipped = np.clip(finite, self.low, self.cap)
        return np.log10(clipped) if self.log else clipped

    @property
    def bounds(self) -> tuple[float, float]:
        """The drawn values of `low` and `cap`."""
        return float(self.value(self.low)), float(self.value(self.cap))

    def ticks(self) -> tuple[list[float], list[str]]:
        """Return where the bar has labels (drawn values) and what they say (losses)."""
        first, last = self.bounds
        gap = TICK_GAP * (last - first)
        kept = [(first, label(self.low))]
        for loss in _candidates(self):
            at = float(self.value(loss))
            if at - kept[-1][0] >= gap and last - at >= gap:
                kept.append((at, label(loss)))
        kept.append((last, f"≥ {label(self.cap)}" if self.capped else label(self.cap)))
        return [at for at, _ in kept], [text for _, text in kept]

    def contours(self) -> dict[str, float]:
        """Return start, end and size of the filled levels."""
        first, last = self.bounds
        size = (last - first) / LEVELS
        return {"start": first + size, "end": last - size, "size": size}


def loss_scale(loss: np.ndarray, *, log: bool = True, cap: float | None = None) -> LossScale:
    """Choose the scale of a plane.

    Args:
        loss: any shape; NaN and infinite entries are ignored.
        log: colour by log10 of the loss.
        cap: the largest loss that gets its own colour; None chooses a round number that nine
            tenths of the plane stay under.
    """
    finite = np.asarray(loss, dtype=np.float64)
    finite = finite[np.isfinite(finite)]
    if finite.size == 0:
        return LossScale(log, 0.1, 1.0, False)
    smallest, largest = float(finite.min()), float(finite.max())
    chosen = suggested_cap(finite) if cap is None else float(cap)
    if log:
        positive = finite[finite > 0]
        smallest = float(positive.min()) if positive.size else chosen / 10
    chosen = max(chosen, smallest * 1.05, smallest + 1e-9)
    if largest <= chosen:
        top = max(largest, smallest * 1.05, smallest + 1e-9)
        return LossScale(log, smallest, top, False)
    return LossScale(log, smallest, chosen, True)


def suggested_cap(loss: np.ndarray) -> float:
    """Return the smallest round number that nine tenths of the finite losses stay under."""
    finite = np.asarray(loss, dtype=np.float64)
    finite = finite[np.isfinite(finite)]
    if finite.size == 0:
        return 1.0
    target = max(float(np.quantile(finite, CAP_QUANTILE)), 1e-6)
    exponent = math.floor(math.log10(target))
    rounds = [step * 10.0**e for e in (exponent, exponent + 1) for step in CAPS]
    return next(value for value in rounds if value >= target * (1 - 1e-12))


def label(loss: float) -> str:
    """Write a loss on the colour bar: 0.07, 0.5, 4, 1200, 3e+08."""
    if loss == 0:
        return "0"
    return f"{loss:.0f}" if 100 <= abs(loss) < 1e6 else f"{loss:.2g}"


def _candidates(scale: LossScale) -> list[float]:
    """Round losses strictly inside the scale: 1, 2, 5 per decade, or even steps."""
    if scale.log:
        low, high = math.floor(math.log10(scale.low)), math.ceil(math.log10(scale.cap))
        losses = [m * 10.0**e for e in range(low, high + 1) for m in (1, 2, 5)]
    else:
        raw = (scale.cap - scale.low) / 6
        unit = 10.0 ** math.floor(math.log10(raw))
        step = next(m * unit for m in (1, 2, 5, 10) if m * unit >= raw)
        start = math.ceil(scale.low / step)
        losses = [step * k for k in range(start, math.floor(scale.cap / step) + 1)]
    return [loss for loss in losses if scale.low < loss < scale.cap]
