"""Atoms along which a tensor does not vary, and which of them it does not vary across.

The zeros that padding puts before and behind some channels are two stretches of one kind: the
tensor is the same whenever units of one are exchanged with units of the other. Stretches of
two kinds (zeros before, ones behind) may each be permuted, but not exchanged.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import count

from engine.symmetry.axes import Atom

Kind = frozenset[int]
"""What a stretch holds, as far as it is known; two stretches are alike if it is the same."""


class Unvarying:
    """The unvarying atoms of one derivation, each with its kind."""

    def __init__(self) -> None:
        self._kinds: dict[Atom, Kind] = {}
        self._numbers = count()

    def __contains__(self, atom: Atom) -> bool:
        return atom in self._kinds

    def kind(self, atom: Atom) -> Kind:
        """Return what an unvarying atom holds."""
        return self._kinds[atom]

    def enter(self, new: Iterable[Atom]) -> None:
        """Enter atoms that are alike, and like no others."""
        self._kinds |= dict.fromkeys(new, frozenset((next(self._numbers),)))

    def hand_on(self, whole: Atom, part: Atom) -> None:
        """Enter a part of an atom, if that is unvarying."""
        if whole in self._kinds:
            self._kinds[part] = self._kinds[whole]

    def discard(self, atoms: Iterable[Atom]) -> None:
        """Take out atoms along which some tensor varies."""
        for atom in atoms:
            self._kinds.pop(atom, None)

    def holds_all(self, atoms: Iterable[Atom]) -> bool:
        """Return whether all atoms are unvarying."""
        return all(atom in self._kinds for atom in atoms)

    def meet(self, atom: Atom, others: Iterable[Atom]) -> None:
        """Note that an atom stands for others from now on: they hold what both did."""
        if atom in self._kinds:
            for other in others:
                if other in self._kinds:
                    self._kinds[other] |= self._kinds[atom]

    def renewed(self, atoms: Collection[Atom]) -> dict[Atom, Atom]:
        """Return a new atom for each unvarying one; those alike stay so, like no others."""
        old = [atom for atom in atoms if atom in self._kinds]
        numbers = {kind: next(self._numbers) for kind in {self._kinds[atom] for atom in old}}
        new = {atom: Atom(atom.size) for atom in old}
        self._kinds |= {new[a]: frozenset((numbers[self._kinds[a]],)) for a in old}
        return new
