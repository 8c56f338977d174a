"""Surfaces through what is known: of the sample, and of what corrects it.

Losses are interpolated as logarithms. Where a sample of the data came first, its surface S shows
the shape, and evaluations on all data correct it (a control variate): by a smooth ratio,
log L = S + D with D through log(full / sample), or by a smooth difference, L = exp S + D with D
through full − sample, whichever misses less when a point is left out. The error of S is the
interpolation's, that of D the sampling's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from engine.landscape.progressive.known import Known
from engine.landscape.progressive.surface import Expected, Nodes, Surface, spans_a_plane

SMALLEST = 1e-12
"""A loss under this counts as this in logarithms, in nats."""

LARGEST = 50.0
"""A logarithmic error over this is written as this one."""

FEW_NODES = 12
"""Corrections at fewer points than this are not trusted to tell their own error."""

Scale = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Part:
    """Finite values at some of the places, with nodes there where they span a plane.

    Attributes:
        which: of the known's places, bool [P].
        points: these, [n, 2].
        nodes: None where no surface fits.
    """

    which: np.ndarray
    points: np.ndarray
    nodes: Nodes | None

    @staticmethod
    def of(known: Known, which: np.ndarray) -> Part:
        """Return the part of the places that `which` says."""
        points = known.places[which]
        return Part(which, points, Nodes.at(points) if spans_a_plane(points) else None)

    def smooth(self, values: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return values and errors at some places; the nearest value, of no known error, else."""
        if self.nodes is not None:
            surface = Surface.through(self.nodes, values)
            return surface.at(at), surface.error(at)
        unknown = np.full(len(at), np.inf)
        if not len(self.points):
            return np.full(len(at), np.nan), unknown
        return values[KDTree(self.points).query(at)[1]], unknown


@dataclass(frozen=True)
class Parts:
    """What is known with finite losses: on all data, on the sample, on both.

    Attributes:
        known: where from.
        base: what the shape comes from: the sample where one is used, else all data.
        both: where both are known; None without a sample.
    """

    known: Known
    base: Part
    both: Part | None

    @staticmethod
    def of(known: Known) -> Parts:
        """Return the parts of what is known."""
        full, sampled = (
            np.isfinite(values["loss"]) & ~known.diverged for values in (known.full, known.sample)
        )
        if not sampled.any():
            return Parts(known, Part.of(known, full), None)
        return Parts(known, Part.of(known, sampled), Part.of(known, full & sampled))


def losses(parts: Parts, at: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, str]:
    """Return losses at some places, both relative errors, and how the sample was corrected."""
    known, base, both = parts.known, parts.base, parts.both
    source = known.full if both is None else known.sample
    shape, error = base.smooth(logarithm(source["loss"][base.which]), at)
    if both is None:
        return np.exp(shape), _relative(error), np.zeros(len(at)), "none"
    nearest = KDTree(base.points).query(at)[1]
    raw = np.zeros(len(base.which))
    se, loss = (known.sample[name][base.which] for name in ("loss_se", "loss"))
    raw[base.which] = np.nan_to_num(se) / np.maximum(loss, SMALLEST)
    raw_at = raw[base.which][nearest]
    if both.nodes is None:
        return np.exp(shape), _relative(error), raw_at, "none"
    # A few corrections do not tell how far they may be off: the sample's own error does.
    least = raw_at if len(both.points) < FEW_NODES else np.zeros(len(at))
    true, drawn = known.full["loss"][both.which], known.sample["loss"][both.which]
    ratio = Surface.through(both.nodes, logarithm(true) - logarithm(drawn))
    difference = Surface.through(both.nodes, true - drawn)
    missed = np.abs(difference.left_out()) / np.maximum(true, SMALLEST)
    by_difference = np.exp(shape) + difference.at(at)
    if np.mean(np.abs(ratio.left_out())) <= np.mean(missed) or (by_difference <= 0).any():
        found = np.exp(shape + ratio.at(at))
        left = _relative(ratio.error(at, Expected(raw[both.which], raw_at)))
        return found, _relative(error), np.maximum(left, least), "ratio"
    expected = Expected(raw[both.which] * drawn, raw_at * np.exp(shape))
    left = np.maximum(difference.error(at, expected) / by_difference, least)
    # The shape's error is relative to the shape, of which the correction may leave little.
    return by_difference, _relative(error) * np.exp(shape) / by_difference, left, "difference"


def others(parts: Parts, at: np.ndarray) -> dict[str, np.ndarray]:
    """Return the standard error of the loss, the accuracy and its standard error, [M] each."""
    return {
        "loss_se": np.exp(_corrected(parts, "loss_se", at, logarithm)),
        "accuracy": np.clip(_corrected(parts, "accuracy", at, np.asarray), 0, 1),
        "accuracy_se": np.maximum(_corrected(parts, "accuracy_se", at, np.asarray), 0),
    }


def _corrected(parts: Parts, name: str, at: np.ndarray, scale: Scale) -> np.ndarray:
    """Return a quantity, interpolated on a scale of its own; NaN where it has no values."""
    known, base, both = parts.known, parts.base, parts.both
    source = known.full if both is None else known.sample
    values = scale(source[name][base.which])
    if not np.isfinite(values).all():
        return np.full(len(at), np.nan)
    shape = base.smooth(values, at)[0]
    if both is None or both.nodes is None:
        return shape
    off = scale(known.full[name][both.which]) - scale(known.sample[name][both.which])
    return shape + Surface.through(both.nodes, off).at(at)


def logarithm(values: np.ndarray) -> np.ndarray:
    """Return natural logarithms of losses; those that are next to nothing count as SMALLEST."""
    return np.log(np.maximum(values, SMALLEST))


def _relative(error: np.ndarray) -> np.ndarray:
    """Return the relative error that a logarithmic one is; infinite stays so."""
    return np.where(np.isfinite(error), np.expm1(np.minimum(error, LARGEST)), np.inf)
