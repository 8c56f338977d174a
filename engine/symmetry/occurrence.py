"""Where a permutation group acts: stretches of one axis of one parameter."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor

Piece = tuple[int, int]
"""Where a stretch of a scattered group starts, and how many of its units stand there."""


@dataclass(frozen=True)
class Occurrence:
    """One place of a group on one axis of one parameter.

    Along `axis`, the stretch [start, start + outer·size·inner) is viewed as
    (outer, size, inner); the group permutes the middle. Where the group is scattered, its
    units stand on several stretches of the axis instead, the `pieces`.
    """

    parameter: str
    axis: int
    start: int
    outer: int
    size: int
    inner: int
    under: Occurrence | None = None
    """For a nested group: where in this parameter the units stand that number its copies, on
    this axis or on another one. Where that stretch does not reach, nothing is permuted."""

    pieces: tuple[Piece, ...] = ()
    """For a scattered group: its stretches in the order of its units, each viewed as
    (outer, units, inner); empty where there is one stretch. `start` is the first place."""

    rows: tuple[int, int] | None = None
    """Where the group acts in a part of the parameter alone: start and end of that part along
    the first axis, which is another one than `axis`."""

    repeats: tuple[int, int] = (1, 0)
    """How many times all of this stands on the axis, and how far apart."""

    @property
    def is_scattered(self) -> bool:
        """Whether the units stand on several stretches."""
        return bool(self.pieces) or self.repeats[0] > 1

    @property
    def stretches(self) -> tuple[tuple[int, int], ...]:
        """Start and end, exclusive, of every stretch, in the order of the units."""
        around, (times, step) = self.outer * self.inner, self.repeats
        pieces = self.pieces or ((self.start, self.size),)
        return tuple(
            (start + time * step, start + time * step + units * around)
            for time in range(times)
            for start, units in pieces
        )

    @property
    def stop(self) -> int:
        """The end of the last stretch, exclusive."""
        return max(stop for _, stop in self.stretches)

    def overlaps(self, other: Occurrence) -> bool:
        """Tell whether two occurrences in one parameter share places of one axis."""
        if self.axis != other.axis or self.start >= other.stop or other.start >= self.stop:
            return False
        if self.rows and other.rows and not _meet(self.rows, other.rows):
            return False
        if not self.is_scattered and not other.is_scattered:
            return True
        return not _covered(self).isdisjoint(_covered(other))

    def in_rows(self, start: int, stop: int) -> Occurrence:
        """Return an occurrence in a part of a parameter as one in the whole of it."""
        if self.axis:
            return replace(self, rows=(start, stop))
        pieces = tuple((start + first, units) for first, units in self.pieces)
        return replace(self, start=start + self.start, pieces=pieces)

    def moved_to(self, axis: int, start: int, outer: int, inner: int, step: int) -> Occurrence:
        """Return this occurrence on another axis, where neighbouring places are `step` apart.

        Args:
            axis: the other axis.
            start: where the first place stands there.
            outer: the units outside the group there.
            inner: the units inside it there.
            step: how far apart two places are there that were neighbours.
        """
        pieces = tuple((start + (s - self.start) * step, units) for s, units in self.pieces)
        return Occurrence(self.parameter, axis, start, outer, self.size, inner, self.under, pieces)


def combined(places: tuple[Occurrence, ...]) -> Occurrence:
    """Return one occurrence of all units of several, which stand on one axis, in their order.

    Neighbouring stretches are one; what is left in a single stretch is not scattered.
    """
    first = places[0]
    around = first.outer * first.inner
    pieces: list[Piece] = []
    for place in places:
        start, units = place.start, place.size
        if pieces and first.outer == 1 and start == pieces[-1][0] + pieces[-1][1] * around:
            start, before = pieces.pop()
            units += before
        pieces.append((start, units))
    size = sum(units for _, units in pieces)
    start = min(start for start, _ in pieces)
    scattered = tuple(pieces) if len(pieces) > 1 else ()
    return Occurrence(
        first.parameter, first.axis, start, first.outer, size, first.inner, pieces=scattered
    )


@lru_cache(maxsize=4096)
def places_of(occurrence: Occurrence) -> Tensor:
    """Return where on its axis each unit of an occurrence stands.

    Returns:
        int64 [outer, size, inner], `outer` once per repetition.
    """
    o = occurrence
    first = replace(o, repeats=(1, 0)).stretches
    divided = torch.cat([torch.arange(*ends).view(o.outer, -1, o.inner) for ends in first], 1)
    times, step = o.repeats
    return torch.cat([divided + time * step for time in range(times)])


def units_of(tensor: Tensor, place: Occurrence) -> Tensor:
    """Return what stands at an occurrence, its axis divided into (outer, units, inner)."""
    if place.is_scattered:
        stretch = tensor.index_select(place.axis, places_of(place).flatten().to(tensor.device))
    else:
        stretch = tensor.narrow(place.axis, place.start, place.stop - place.start)
    outer = place.outer * place.repeats[0]
    return stretch.unflatten(place.axis, (outer, place.size, place.inner))


def with_units(tensor: Tensor, place: Occurrence, units: Tensor) -> Tensor:
    """Return a tensor with something else at an occurrence, as `units_of` returns it."""
    axis, length = place.axis, tensor.shape[place.axis]
    stretch = units.flatten(axis, axis + 2)
    if place.is_scattered:
        return tensor.index_copy(axis, places_of(place).flatten().to(tensor.device), stretch)
    if stretch.shape[axis] == length:
        return stretch
    after = tensor.narrow(axis, place.stop, length - place.stop)
    return torch.cat((tensor.narrow(axis, 0, place.start), stretch, after), axis)


def _meet(left: tuple[int, int], right: tuple[int, int]) -> bool:
    return left[0] < right[1] and right[0] < left[1]


@lru_cache(maxsize=4096)
def _covered(occurrence: Occurrence) -> frozenset[int]:
    found: set[int] = set()
    for start, stop in occurrence.stretches:
        found.update(range(start, stop))
    return frozenset(found)
