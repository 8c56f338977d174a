"""Units of an axis in another order: where they go is followed one by one.

A channel shuffle deals the units of two branches out to both halves of what follows. No product
of axes says where each of them goes, so the axis is divided into single units; those that turn
out to go the same way everywhere are one group again (`merging.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from engine.symmetry.axes import Expression, Product
from engine.symmetry.unify import Algebra

MOST_UNITS = 4096
"""An axis of more units is not divided into them."""


def may_scatter(algebra: Algebra, axis: Expression) -> bool:
    """Return whether an axis should be divided into its units for a shuffle.

    A product is shuffled by exchanging its factors; of a fixed axis nothing is to know.
    """
    x = algebra.resolve(axis)
    algebra.shuffled = True
    wanted = algebra.scattering and x.size <= MOST_UNITS
    return wanted and not isinstance(x, Product) and not algebra.is_fixed(x)


def taken(algebra: Algebra, axis: Expression, places: Sequence[int]) -> Expression:
    """Return the units of an axis that stand at some places, in that order."""
    runs = _runs(places)
    if len(runs) == 1:
        return algebra.segment(axis, *runs[0])
    if all(stop - start > 1 for start, stop in runs):
        parts = [algebra.segment(axis, start, stop) for start, stop in runs]
    else:
        units = algebra.units(axis)
        parts = [units[place] for place in places]
    return algebra.concat([algebra.resolve(part) for part in parts])


def _runs(places: Sequence[int]) -> list[tuple[int, int]]:
    """Return the stretches that follow each other, start and end."""
    ends = [i for i, (x, y) in enumerate(pairwise(places), 1) if y != x + 1]
    bounds = pairwise((0, *ends, len(places)))
    return [(places[first], places[last - 1] + 1) for first, last in bounds]
