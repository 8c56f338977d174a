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

from engine.landscape.progressive.known import SAMPLED, Known
from engine.landscape.progressive.parts import Parts, losses, others


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
        """Return a quantile of the error over all points that have one; infinite without any."""
        found = self.error[~np.isnan(self.error)]
        return float(np.quantile(found, share, method="higher")) if len(found) else np.inf


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
