"""Axes whose places tell a unit of an outer axis: rows that are sorted by their expert.

A grouped product multiplies each row by the matrix of its expert, `out[r] = x[r] · W[e(r)]`, where
`e` is read off the ends of the experts' stretches. From then on an axis of rows tells the expert
as well as an axis of experts would: hidden units that stand beside it may be ordered by their
row's expert, as long as every op takes the rows one by one. `e` is a function of the place
alone, the same wherever the ends are the same; so all axes of rows that meet tell it, and an op
that reads places along one of them mixes experts (`nesting.Contact`).

Where the rows of one set of experts are divided in two ways (a layer that is called twice, each
call with its own routing), the place does not say by which: such experts are told by no row.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping

from engine.symmetry.axes import Atom, Expression

Tells = Mapping[Atom, frozenset[Atom]]
"""An atom of rows → the outer atoms of which each row tells a unit."""


class Told:
    """What the grouped products of one derivation say of their rows."""

    def __init__(self) -> None:
        self._first: dict[Hashable, Expression] = {}
        self._entries: list[tuple[Expression, Expression, Hashable]] = []

    def enter(self, rows: Expression, outer: Expression, ends: Hashable) -> Expression:
        """Note that rows belong to units of an outer axis, divided at some ends.

        Args:
            rows: a fixed axis.
            outer: a fixed axis of as many units as there are ends.
            ends: whatever is equal for equal ends alone.

        Returns:
            The outer axis that these ends divided first: its units are numbered alike.
        """
        self._entries.append((rows, outer, ends))
        return self._first.setdefault(ends, outer)

    def rows(self, root: Callable[[Atom], Atom]) -> frozenset[Atom]:
        """Return the atoms of rows that stand in order of their expert, one for all the same."""
        return frozenset(root(rows) for rows, _, _ in self._entries if isinstance(rows, Atom))

    def tells(self, root: Callable[[Atom], Atom]) -> Tells:
        """Return which rows tell units of which outer atom, one atom for all that are the same."""
        entries = [
            (root(rows), root(outer), ends)
            for rows, outer, ends in self._entries
            if isinstance(rows, Atom) and isinstance(outer, Atom)
        ]
        divided: dict[Atom, set[Hashable]] = {}
        for _, outer, ends in entries:
            divided.setdefault(outer, set()).add(ends)
        found: dict[Atom, frozenset[Atom]] = {}
        for rows, outer, _ in entries:
            if len(divided[outer]) == 1:
                found[rows] = found.get(rows, frozenset()) | {outer}
        return found


def telling(atoms: Iterable[Atom], tells: Tells) -> Iterable[Atom]:
    """Return the outer atoms of which some atoms tell a unit."""
    return (outer for atom in atoms for outer in tells.get(atom, ()))
