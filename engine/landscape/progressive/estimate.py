"""The whole plane from what has been evaluated of it, and how far off that may be.

Values between evaluated points come from smooth surfaces (`parts.py`); evaluated ones stay as they
are, bit for bit. The error of a loss has two parts, both relative standard errors: that of the
interpolation, and that of the sample, where one is used: what it still gets wrong once corrected.

Points that diverged are never interpolated over: a point whose nearest evaluated point diverged
has no number, and one that lies between diverged and finite points is marked as uncertain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree
from scipy.special import stdtr

from engine.landscape.progressive.known import SAMPLED, Known
from engine.landscape.progressive.parts import Parts, losses, others
from engine.landscape.progressive.surface import NEAR

_WIDEST = 1e3
"""In standard errors: nothing is taken to be further off."""

_HALVINGS = 60


@dataclass(frozen=True)
class Estimate:
    """A plane, partly estimated, at M places.

    Attributes:
        values: loss, loss_se, accuracy, accuracy_se, float64 [M]; exact where `evaluated` is
            FULL, NaN where the point, or the nearest evaluated one, diverged.
        interpolation, sampling: estimated relative standard errors of the loss, float64 [M]: of
            the interpolation, and of the corrected sample; infinite where uncertain.
        correction: "ratio", "difference", or "none" where no sample is used.
    """

    values: Mapping[str, np.ndarray]
    interpolation: np.ndarray
    sampling: np.ndarray
    correction: str

    @property
    def error(self) -> np.ndarray:
        """Both errors together, [M]; NaN where there is no number."""
        both = np.hypot(self.interpolation, self.sampling)
        return np.where(np.isfinite(self.values["loss"]) | np.isinf(both), both, np.nan)

    def quantile(self, share: float) -> float:
        """Return a quantile of how far losses are off, over all points that have an error.

        A standard error of s says |off| / s is distributed as |t|, with as many degrees of freedom
        as leave-one-out errors made up its scale. Infinite without any point, or where more than
        1 − share of the points are uncertain.

        Args:
            share: of the points, above 0 and below 1, that are off by at most this.
        """
        found = self.error[~np.isnan(self.error)]
        if not len(found):
            return np.inf
        own = np.sort(found[np.isfinite(found) & (found > 0)])
        exact = int((found == 0).sum())
        if exact >= share * len(found):
            return 0.0
        if exact + len(own) <= share * len(found):
            return np.inf

        low, high = 0.0, _WIDEST * float(own[-1])
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            within = exact + float((2 * stdtr(NEAR, middle / own) - 1).sum())
            low, high = (middle, high) if within < share * len(found) else (low, middle)
        return high


def estimate(known: Known, places: np.ndarray | None = None) -> Estimate:
    """Return the plane at some places, as well as it is known.

    Args:
        known: what has been evaluated, at least one point.
        places: [M, 2]; None takes the known's own, where evaluated values are kept as they are.
    """
    at = known.places if places is None else places
    if places is None and known.has_full.all():
        nothing = np.where(known.diverged, np.nan, 0.0)
        return Estimate(dict(known.full), nothing, np.zeros(len(at)), "none")
    parts = Parts.of(known)
    loss, interpolation, sampling, correction = losses(parts, at)
    values = {"loss": loss} | others(parts, at)
    lost, uncertain = _lost(known, at)
    interpolation = np.where(uncertain, np.inf, np.where(lost, np.nan, interpolation))
    sampling = np.where(uncertain, 0.0, np.where(lost, np.nan, sampling))
    values = {name: np.where(lost, np.nan, found) for name, found in values.items()}
    if places is None:
        exact, gone = known.has_full, known.diverged
        for name, found in values.items():
            found[exact] = known.full[name][exact]
        values["loss"][gone & ~exact] = np.nan
        interpolation[known.evaluated >= SAMPLED] = 0.0
        sampling[exact] = 0.0
        interpolation[gone] = sampling[gone] = np.nan
    return Estimate(values, interpolation, sampling, correction)


def _lost(known: Known, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where the nearest evaluated point diverged, and where that is too close to call."""
    gone = known.diverged
    left = (known.evaluated >= SAMPLED) & ~gone
    no = np.zeros(len(at), dtype=bool)
    if not gone.any():
        return no, no
    if not left.any():
        return ~no, no
    to_gone = KDTree(known.places[gone]).query(at)[0]
    to_left = KDTree(known.places[left]).query(at)[0]
    return to_gone <= to_left, (to_gone < 2 * to_left) & (to_left < 2 * to_gone)
