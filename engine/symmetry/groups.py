"""The permutation groups that a derivation leaves free, and where they act."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.symmetry.axes import Atom, Expression, atoms, places
from engine.symmetry.unify import Algebra


@dataclass(frozen=True)
class Occurrence:
    """One stretch of one axis of one parameter that a group permutes.

    Along `axis`, the stretch [start, start + outer·size·inner) is viewed as
    (outer, size, inner); the group permutes the middle.
    """

    parameter: str
    axis: int
    start: int
    outer: int
    size: int
    inner: int

    @property
    def stop(self) -> int:
        """The end of the stretch, exclusive."""
        return self.start + self.outer * self.size * self.inner


@dataclass(frozen=True)
class Group:
    """All permutations of `size` units, applied at every occurrence at once."""

    name: str
    """The module whose parameter first makes the units, such as `layer1.0.conv1`."""

    size: int
    occurrences: tuple[Occurrence, ...]
    """In the order of the parameters."""


def collect_groups(
    parameters: Mapping[str, Sequence[Expression]],
    produced: Sequence[tuple[str, Expression]],
    algebra: Algebra,
) -> tuple[Group, ...]:
    """Return the groups of two units or more, in the order of the parameters.

    Args:
        parameters: parameter name → its axes, resolved.
        produced: (parameter name, axis that it makes), in graph order; for the names.
        algebra: knows which atoms are fixed.
    """
    found: dict[Atom, list[Occurrence]] = {}
    for name, axes in parameters.items():
        for index, axis in enumerate(axes):
            for place in places(axis):
                atom = place.atom
                if not algebra.is_fixed(atom):
                    occurrence = Occurrence(
                        name, index, place.start, place.outer, atom.size, place.inner
                    )
                    found.setdefault(atom, []).append(occurrence)
    makers: dict[Atom, str] = {}
    for name, axis in produced:
        for atom in atoms(algebra.resolve(axis)):
            makers.setdefault(atom, name)
    bases = {a: _module(makers.get(a, where[0].parameter)) for a, where in found.items()}
    names = _distinct(bases, makers, found)
    return tuple(Group(names[a], a.size, tuple(where)) for a, where in found.items())


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
    return f"[{o.start}:{o.stop}{factors}]"
