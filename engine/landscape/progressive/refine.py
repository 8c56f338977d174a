"""Which points come next: a coarse grid first, then where the estimated error is largest.

The points of a round follow from the values of earlier rounds alone, never from a clock, so a run
that is resumed asks for the same points. Within a round, points keep the distance that each has
from what is known: otherwise all would be put into the one gap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from engine.landscape.progressive.estimate import Estimate
from engine.landscape.progressive.known import FULL, SAMPLED, Known

COARSE = 5
"""Points per axis of the first round; the sample's second round has 2 · 5 − 1."""

FEWEST, SHARE = 24, 0.25
"""A round adds so many points, or this share of the points of its kind where that is more."""

MOST_NODES = 2000
"""A surface through more points than this costs more than the points that it could spare."""


@dataclass(frozen=True)
class Round:
    """Points that are evaluated next.

    Attributes:
        kind: SAMPLED or FULL.
        index: which of the places, int64 [G].
    """

    kind: int
    index: np.ndarray


def lattice(rows: int, columns: int, count: int) -> np.ndarray:
    """Return flat indices of a coarse grid of at most count × count points, with the edges."""
    down, across = (np.unique(np.linspace(0, n - 1, count).round()) for n in (rows, columns))
    grid = down.astype(np.int64)[:, None] * columns + across.astype(np.int64)
    return grid.reshape(-1)


def next_round(
    known: Known, found: Estimate | None, shape: tuple[int, int], sample_cost: float | None
) -> Round | None:
    """Return the next points of a grid, None when all have been evaluated on all data.

    Past MOST_NODES points a last round has all that are left.

    Args:
        known: at the grid's points, row by row.
        found: the estimate from it; None before there is any.
        shape: rows and columns.
        sample_cost: of a point on the sample, as a share of one on all data; None where no sample
            is used.
    """
    first = lattice(*shape, COARSE)
    if max(known.has_full.sum(), known.has_sample.sum()) > MOST_NODES:
        rest = np.flatnonzero(~known.has_full)
        return Round(FULL, rest) if len(rest) else None
    if found is None:
        return Round(FULL if sample_cost is None else SAMPLED, first)
    if sample_cost is None:
        return _worst(known, FULL, found.error, ~known.has_full)
    if known.has_sample.sum() <= len(first):
        # What diverged on the sample diverges on all data: nothing is learnt from it there.
        sound = first[~known.diverged[first]]
        if not known.has_full.any() and len(sound):
            return Round(FULL, sound)
        finer = lattice(*shape, 2 * COARSE - 1)
        if len(missing := finer[~known.has_sample[finer]]):
            return Round(SAMPLED, missing)
    return _either(known, found, sample_cost)


def _either(known: Known, found: Estimate, sample_cost: float) -> Round | None:
    """Return points for the part of the error that is large for the work already put into it."""
    fresh = ~known.has_sample & ~known.has_full
    unchecked = known.has_sample & ~known.has_full
    sound = unchecked & ~known.diverged
    by_shape = _square(found.interpolation) / (sample_cost * known.has_sample.sum())
    by_sample = _square(found.sampling) / max(known.has_full.sum(), 1)
    if fresh.any() and (by_shape >= by_sample or not sound.any()):
        return _worst(known, SAMPLED, found.interpolation, fresh)
    return _worst(known, FULL, found.sampling, sound if sound.any() else unchecked)


def _square(error: np.ndarray) -> float:
    """Return a mean square that one wild point does not decide."""
    found = error[~np.isnan(error)]
    if not len(found):
        return 0.0
    return float(np.mean(np.minimum(found, np.quantile(found, 0.95, method="higher")) ** 2))


def _worst(known: Known, kind: int, error: np.ndarray, free: np.ndarray) -> Round | None:
    """Return the free points of the largest error, apart from each other; without any, None."""
    # Points without an error lie inside a region that diverged: they come last.
    with_error = free & ~np.isnan(error)
    free = with_error if with_error.any() else free
    if not free.any():
        return None
    done = known.has_full if kind == FULL else known.has_sample
    count = max(FEWEST, int(SHARE * done.sum()))
    gap = np.zeros(len(free))
    if done.any():
        gap = KDTree(known.places[done]).query(known.places)[0]
    order = np.argsort(-np.nan_to_num(error, posinf=np.inf), kind="stable")
    chosen: list[int] = []
    for point in order[free[order]].tolist():
        if len(chosen) == count:
            break
        apart = known.places[chosen] - known.places[point]
        if not chosen or np.linalg.norm(apart, axis=1).min() >= gap[point]:
            chosen.append(point)
    return Round(kind, np.array(chosen, dtype=np.int64))
