"""Which atoms are one group on scattered stretches of an axis.

The zero pads around a shortcut, the channels that a shuffle deals out: atoms that stand apart
although their units may be exchanged. A unit of one atom may be exchanged with a unit of
another one if every tensor, as it is made and as it is used, holds both in the same way: side
by side in one concatenation, beside the same factors, once each. Why this suffices: an op that
takes an axis as a whole permutes with any order of it, or its rule would be wrong for an axis
that nothing divides; an op that cuts or joins axes copies each element from one place, and the
places of the two atoms correspond in what it is given and in what it gives. What is given to
an op or comes from it and holds one of them alone tells them apart, and so do an op that is
not known (`spaces.py`) or that compares stretches (a norm over groups of channels), and a
constant that is not alike on both (`unvarying.py`).

Being exchangeable with one another divides the atoms into classes: each is one group. Atoms
of nested groups stay as they are, and so do those that stand twice on one axis.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from engine.symmetry.axes import Atom, Concat, Expression, Product, atoms
from engine.symmetry.nesting import Contact, Nesting
from engine.symmetry.unify import Algebra
from engine.symmetry.unvarying import Kind

Kinds = Sequence[tuple[Atom, Kind]]
"""The unvarying atoms of one tensor, each with what it holds."""

Path = tuple[object, ...]

ALONE = "no other unit goes the same way"


@dataclass(frozen=True)
class Merging:
    """Atoms that are one group together."""

    members: Mapping[Atom, tuple[Atom, ...]]
    """The first atom of each class → all of them, in the order of their units."""

    first: Mapping[Atom, Atom]
    """Every atom of a class → the first one."""


def find_merging(
    axes: Iterable[Expression],
    kinds: Iterable[Kinds],
    contacts: Iterable[Contact],
    parameters: Iterable[Sequence[Expression]],
    algebra: Algebra,
    nesting: Nesting,
) -> Merging:
    """Return which free atoms are one group.

    Args:
        axes: of every tensor as it is made and as it is used.
        kinds: of every tensor with unvarying atoms of several kinds.
        contacts: ops that are unknown or that read places along an axis.
        parameters: the axes of every parameter; their order is that of the units.
        algebra: brings expressions up to date and knows which atoms are fixed.
        nesting: knows which atoms stand under which.
    """
    held = [algebra.resolve(axis) for own in parameters for axis in own]
    order = {
        atom: None
        for axis in held
        if isinstance(axis, Concat | Product)
        for atom, path in _standing(axis)
        if path is not None and not algebra.is_fixed(atom)
    }
    for atom in nesting.atoms():
        order.pop(atom, None)
    if len(order) < 2:
        return Merging({}, {})
    profiles = _Profiles(algebra, order)
    for axis in (*axes, *held):
        profiles.look_at(axis)
    for own in kinds:
        profiles.tell_apart(own)
    for contact in contacts:
        for axis in contact.axes if contact.acted is None else contact.acted:
            profiles.leave_out(atoms(algebra.resolve(axis)))
    classes = profiles.classes()
    return Merging(
        {own[0]: own for own in classes}, {atom: own[0] for own in classes for atom in own}
    )


class _Profiles:
    """What tells the candidates apart: where each of them stands, and beside what."""

    def __init__(self, algebra: Algebra, candidates: Collection[Atom]) -> None:
        self.algebra = algebra
        self._found: dict[Atom, list[object]] = {atom: [] for atom in candidates}
        self._seen: dict[Expression, None] = {}
        self._known: dict[int, Expression] = {}
        self._records = 0

    def look_at(self, axis: Expression) -> None:
        """Note how the candidates stand on an axis."""
        if id(axis) in self._known:
            return
        self._known[id(axis)] = axis  # kept, so that its id stays its own
        resolved = self.algebra.resolve(axis)
        if resolved in self._seen:
            return
        self._seen[resolved] = None
        number = self._records = self._records + 1
        here: dict[Atom, Path | None] = {}
        for atom, path in _standing(resolved):
            if atom in self._found:
                here[atom] = None if atom in here else path
        self.leave_out(atom for atom, path in here.items() if path is None)
        for atom, path in here.items():
            if atom in self._found:
                self._found[atom].append((number, path))

    def tell_apart(self, kinds: Kinds) -> None:
        """Note which candidates a constant is alike on."""
        number = self._records = self._records + 1
        for old, kind in kinds:
            for atom in atoms(self.algebra.resolve(old)):
                if atom in self._found:
                    self._found[atom].append((number, kind))

    def leave_out(self, alone: Iterable[Atom]) -> None:
        """Take out atoms that may be exchanged with no others."""
        for atom in list(alone):
            self._found.pop(atom, None)

    def classes(self) -> list[tuple[Atom, ...]]:
        """Return the classes of two atoms or more."""
        found: dict[tuple[object, ...], list[Atom]] = {}
        for atom, profile in self._found.items():
            found.setdefault(tuple(profile), []).append(atom)
        return [tuple(own) for own in found.values() if len(own) > 1]


def _standing(axis: Expression, path: Path = ()) -> Iterator[tuple[Atom, Path | None]]:
    """Yield every place of every atom with what is around it; None outside concatenations.

    The path leads from the whole axis to the atom: what it is multiplied by, and its number
    in each concatenation, but for the innermost, whose parts may be exchanged.
    """
    if isinstance(axis, Atom):
        yield axis, _but_the_last_number(path)
    elif isinstance(axis, Product):
        for index, factor in enumerate(axis.factors):
            others = (*axis.factors[:index], None, *axis.factors[index + 1 :])
            yield from _standing(factor, (*path, others))
    else:
        for index, part in enumerate(axis.parts):
            yield from _standing(part, (*path, index))


def _but_the_last_number(path: Path) -> Path | None:
    for place in range(len(path) - 1, -1, -1):
        if isinstance(path[place], int):
            return (*path[:place], None, *path[place + 1 :])
    return None


def kinds_in(axes: Sequence[Expression], algebra: Algebra) -> Iterator[Kinds]:
    """Yield the unvarying atoms of each axis of one tensor that has several kinds of them."""
    constants = algebra.constants
    for axis in axes:
        if isinstance(axis, Concat):
            found = [(atom, constants.kind(atom)) for atom in atoms(axis) if atom in constants]
            if len({kind for _, kind in found}) > 1:
                yield found
