"""The permutation groups that a derivation leaves free, and where they act."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import lgamma

from engine.symmetry.axes import Atom, Expression, atoms, places
from engine.symmetry.merging import Merging
from engine.symmetry.nesting import Nesting
from engine.symmetry.occurrence import Occurrence, combined
from engine.symmetry.stacks import Held
from engine.symmetry.unify import Algebra

MOST_STRETCHES = 3
"""The name of a group that stands on more stretches of an axis names the first and the last."""


@dataclass(frozen=True)
class Group:
    """All permutations of `size` units, applied at every occurrence at once."""

    name: str
    """The module whose parameter first makes the units, such as `layer1.0.conv1`."""

    size: int
    occurrences: tuple[Occurrence, ...]
    """In the order of the parameters."""

    copies: int = 1
    """For a nested group: how many outer units it stands under, each with a permutation of
    its own."""

    within: str | None = None
    """The group of those outer units; None where they are fixed or the group is not nested."""

    @property
    def nested(self) -> bool:
        """Whether the units permute differently under each outer unit."""
        return self.copies > 1


def log_copies(groups: Iterable[Group]) -> float:
    """Return the logarithm of the number of permutations: Σ log(n!) over groups and copies."""
    return sum(group.copies * lgamma(group.size + 1) for group in groups)


def collect_groups(
    parameters: Sequence[Held],
    produced: Sequence[tuple[str, Expression]],
    algebra: Algebra,
    nesting: Nesting,
    merging: Merging,
) -> dict[Atom, Group]:
    """Return the groups of two units or more, in the order of the parameters, by their atom.

    Args:
        parameters: every parameter, or every part of it, with its axes.
        produced: (parameter name, axis that it makes), in graph order; for the names.
        algebra: knows which atoms are fixed.
        nesting: knows which atoms stand under which.
        merging: knows which atoms are one group; it has the first one's.
    """
    found: dict[Atom, list[Occurrence]] = {}
    for held in parameters:
        axes = enumerate(map(algebra.resolve, held.axes))
        here = [
            (atom, own if held.rows is None else own.in_rows(*held.rows))
            for index, axis in axes
            for atom, own in placed(held.name, index, axis, merging)
        ]
        for atom, occurrence in here:
            if occurrence.size > 1 and not algebra.is_fixed(atom):
                own = nested_occurrences(atom, occurrence, here, nesting)
                found.setdefault(atom, []).extend(own)
    makers: dict[Atom, str] = {}
    for name, axis in produced:
        for atom in atoms(algebra.resolve(axis)):
            makers.setdefault(merging.first.get(atom, atom), name)
    bases = {a: _module(makers.get(a, where[0].parameter)) for a, where in found.items()}
    names = _distinct(bases, makers, found)
    groups = {}
    for atom, where in found.items():
        outer = nesting.outer_of(atom)
        copies = 1 if outer is None else outer.size
        within = None if outer is None or algebra.is_fixed(outer) else names[outer]
        groups[atom] = Group(names[atom], where[0].size, tuple(where), copies, within)
    return groups


def placed(
    name: str, index: int, axis: Expression, merging: Merging
) -> Iterator[tuple[Atom, Occurrence]]:
    """Yield every atom of one resolved axis and where it stands; merged ones as the first."""
    merged: dict[Atom, dict[Atom, list[Occurrence]]] = {}
    for place in places(axis):
        atom, size = place.atom, place.atom.size
        own = Occurrence(name, index, place.start, place.outer, size, place.inner)
        first = merging.first.get(atom)
        if first is None:
            yield atom, own
        else:
            merged.setdefault(first, {}).setdefault(atom, []).append(own)
    for first, found in merged.items():
        for own in zip(*(found[atom] for atom in merging.members[first]), strict=True):
            yield first, combined(own)


def nested_occurrences(
    atom: Atom,
    occurrence: Occurrence,
    here: Sequence[tuple[Atom, Occurrence]],
    nesting: Nesting,
) -> list[Occurrence]:
    """Return an occurrence as it is, or once per stretch of the units that it stands under.

    The outer units stand on the same axis, around the occurrence or inside it; only where
    they do not, they stand on another axis (see `nesting.py`).
    """
    outer = nesting.outer_of(atom)
    if outer is None:
        return [occurrence]
    candidates = [o for other, o in here if nesting.is_same(other, outer)]
    local = [o for o in candidates if o.overlaps(occurrence)]
    elsewhere = [o for o in candidates if o.axis != occurrence.axis]
    return [replace(occurrence, under=o) for o in local or elsewhere]


def _module(parameter: str) -> str:
    """Return the path of the module that a parameter belongs to."""
    path, _, last = parameter.rpartition(".")
    return path if path and last in ("weight", "bias") else parameter


def _distinct(
    bases: Mapping[Atom, str],
    makers: Mapping[Atom, str],
    found: Mapping[Atom, Sequence[Occurrence]],
) -> dict[Atom, str]:
    """Tell groups of one module apart by where they stand in its axis."""
    counts = Counter(bases.values())
    names: dict[Atom, str] = {}
    taken: set[str] = set()
    for atom, base in bases.items():
        name = base
        if counts[base] > 1:
            own = [o for o in found[atom] if o.parameter == makers.get(atom)] or found[atom]
            name += _standing(own[0])
        if name in taken:
            name = next(
                f"{name} #{n}" for n in range(2, len(bases) + 2) if f"{name} #{n}" not in taken
            )
        taken.add(name)
        names[atom] = name
    return names


def _standing(occurrence: Occurrence) -> str:
    """Return `[start:stop]`, with the factors around the group where there are any."""
    o = occurrence
    factors = f" {o.outer}×({o.size})×{o.inner}" if o.outer * o.inner > 1 else ""
    shown = [f"{start}:{stop}" for start, stop in o.stretches]
    if len(shown) > MOST_STRETCHES:
        shown[1:-1] = ["…"]
    return f"[{', '.join(shown)}{factors}]"
