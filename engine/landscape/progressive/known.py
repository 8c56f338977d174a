"""What has been evaluated of a plane: at which places, on the sample or on all data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

QUANTITIES = ("loss", "loss_se", "accuracy", "accuracy_se")

ESTIMATED, SAMPLED, FULL = 0, 1, 2
"""How a point's loss is known, least first."""


@dataclass(frozen=True)
class Known:
    """Values at P places; NaN where a place was not evaluated, or diverged.

    Attributes:
        places: distinct, in units of the plane's axes, float64 [P, 2].
        full, sample: per quantity of `QUANTITIES`, float64 [P], on all data and on the sample.
        has_full, has_sample: which were evaluated, bool [P].
    """

    places: np.ndarray
    full: Mapping[str, np.ndarray]
    sample: Mapping[str, np.ndarray]
    has_full: np.ndarray
    has_sample: np.ndarray

    @staticmethod
    def nothing(places: np.ndarray) -> Known:
        """Return that nothing has been evaluated at some places [P, 2]."""
        empty = {name: np.full(len(places), np.nan) for name in QUANTITIES}
        no = np.zeros(len(places), dtype=bool)
        return Known(places, empty, empty, no, no)

    def with_values(self, kind: int, index: np.ndarray, found: Mapping[str, np.ndarray]) -> Known:
        """Return this and further values.

        Args:
            kind: SAMPLED or FULL.
            index: of the places, [G].
            found: per quantity, [G].
        """
        old = self.full if kind == FULL else self.sample
        values = {name: old[name].copy() for name in QUANTITIES}
        for name in QUANTITIES:
            values[name][index] = found[name]
        has = (self.has_full if kind == FULL else self.has_sample).copy()
        has[index] = True
        if kind == FULL:
            return replace(self, full=values, has_full=has)
        return replace(self, sample=values, has_sample=has)

    @property
    def evaluated(self) -> np.ndarray:
        """How each place is known: ESTIMATED, SAMPLED or FULL, int8 [P]."""
        kinds = np.where(self.has_sample, SAMPLED, ESTIMATED)
        return np.where(self.has_full, FULL, kinds).astype(np.int8)

    @property
    def diverged(self) -> np.ndarray:
        """Where an evaluated loss, on all data or on the sample, is no finite number, bool [P]."""
        full = self.has_full & ~np.isfinite(self.full["loss"])
        return full | (self.has_sample & ~np.isfinite(self.sample["loss"]))
