"""Sites of nested groups: one place of the outer units in one parameter, with what is inside.

There the parameter is cut into parts by which nested groups their entries belong to. A part
is an array [copies, units of the first nested group, …, everything else]: without nested
units it says how well two outer units fit, with one nested group what each pair of units
brings for each pair of outer units, with more it ties the orders of several nested groups
(the weight of a grouped convolution: outputs and inputs of each group).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from engine.matching.site import is_identity
from engine.symmetry import Carried, Occurrence, Perms, axis_index


@dataclass(frozen=True)
class Part:
    """Entries of one parameter that belong to the same nested groups."""

    groups: tuple[str, ...]
    """The nested group of each dimension after the first; one may stand twice."""

    places: Tensor
    """int64 [copies · units · …]: where on the axis the entries stand, in the part's order."""

    shape: tuple[int, ...]
    """[copies, units of each nested group…]; everything else follows in one last dimension."""


class NestedSite:
    """One stretch of outer units in one parameter.

    Args:
        outer: where the outer units stand.
        inside: the nested occurrences under them, those that this site is about.
        carried: every occurrence in the parameter, in the order of application.
        own: those of `carried` that this site permutes itself; it leaves them as they are.
        a: the parameter of a in its layout, in the working dtype.
        b: the parameter of b, likewise.
    """

    def __init__(
        self,
        outer: Occurrence,
        inside: Sequence[Carried],
        carried: Sequence[Carried],
        own: Sequence[Carried],
        a: Tensor,
        b: Tensor,
    ) -> None:
        self.axis = outer.axis
        self.parts = tuple(_parts(outer, inside))
        others = [one for one in carried if one not in own and _reaches(one, outer)]
        axes = sorted({one.occurrence.axis for one in others})
        self._others = {
            axis: tuple(one for one in others if one.occurrence.axis == axis) for axis in axes
        }
        self._b = b
        self.a = tuple(self._form(a, part) for part in self.parts)
        """Each part of a, [copies, units…, everything else]."""

    @property
    def neighbours(self) -> frozenset[str]:
        """Return the names of the groups whose permutations change this site."""
        return frozenset(one.group for carried in self._others.values() for one in carried)

    def b(self, perms: Perms) -> list[Tensor]:
        """Return each part of b under the permutations of all other occurrences."""
        tensor = self._b
        for axis, carried in self._others.items():
            index = axis_index(tensor.shape[axis], carried, perms)
            if not is_identity(index):
                tensor = tensor.index_select(axis, index)
        return [self._form(tensor, part) for part in self.parts]

    def norms(self) -> Iterator[tuple[Part, Tensor, Tensor]]:
        """Yield each part with the squares of a's and of b's entries, summed over the rest."""
        for part, a in zip(self.parts, self.a, strict=True):
            b = self._form(self._b, part)
            yield part, a.double().square().sum(-1), b.double().square().sum(-1)

    def _form(self, tensor: Tensor, part: Part) -> Tensor:
        chosen = tensor.index_select(self.axis, part.places.to(tensor.device))
        return chosen.movedim(self.axis, 0).reshape(*part.shape, -1)


def _reaches(one: Carried, outer: Occurrence) -> bool:
    """Tell whether an occurrence moves entries of a stretch: on another axis, or overlapping."""
    return one.occurrence.axis != outer.axis or one.occurrence.overlaps(outer)


def _parts(outer: Occurrence, inside: Sequence[Carried]) -> Iterator[Part]:
    """Yield the parts of a stretch of outer units, sorted by outer unit, units, the rest."""
    places = np.arange(outer.start, outer.stop)
    x = (places - outer.start) // outer.inner % outer.size
    rest = places - x * outer.inner
    units: dict[tuple[str, int], np.ndarray] = {}  # (group, how often it stood before) → unit
    sizes: dict[tuple[str, int], int] = {}
    for one in inside:
        o = one.occurrence
        covered = (places >= o.start) & (places < o.stop)
        y = (places - o.start) // o.inner % o.size
        rest = np.where(covered, rest - y * o.inner, rest)
        for number in range(len(inside)):
            own = units.setdefault((one.group, number), np.full(len(places), -1))
            sizes[one.group, number] = o.size
            free = covered & (own < 0)
            own[free] = y[free]
            covered &= ~free
            if not covered.any():
                break
    slots = sorted(units)
    pattern = np.zeros(len(places), dtype=np.int64)
    for bit, slot in enumerate(slots):
        pattern |= (units[slot] >= 0).astype(np.int64) << bit
    for found in np.unique(pattern):
        held = [slot for bit, slot in enumerate(slots) if found >> bit & 1]
        here = np.flatnonzero(pattern == found)
        order = np.lexsort((rest[here], *(units[slot][here] for slot in reversed(held)), x[here]))
        yield Part(
            tuple(group for group, _ in held),
            torch.from_numpy(places[here[order]]),
            (outer.size, *(sizes[slot] for slot in held)),
        )
