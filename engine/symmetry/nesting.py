"""Which atoms may permute differently under each unit of another one.

Head size under heads, channels under the groups of a grouped convolution: an inner atom may
take a permutation of its own for each index of an outer one if every tensor that holds it
says, for each of its places, which place of the outer one that index is read from, and if
every op keeps the two together. Whether it does is read off *spaces* (`spaces.py`): the axes
of each tensor, and of what each op runs through on its way (for a matrix product the batch,
the rows, the columns and the contracted axis together; for a softmax also its input without
the axis over which it sums). An inner atom is nested if in every space that holds it

- either the outer atom stands exactly once beside it in every axis that holds it (`head ×
  head size`), whatever the other axes hold; a view, which takes axes apart, allows for no
  second outer atom elsewhere;
- or there is exactly one outer atom in the whole space.

Then what the op computes at (outer h, inner i) depends on operands at the same (h, i) and on
sums over all i, so that a different order of i for each h passes through it. An op that is
not known here or that reads places along the outer axis (a `Contact`) says no.

The outer units may be free (a group of their own) or fixed. Does not nest twice: an atom that
stands under another one numbers no copies itself.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from math import lgamma

from engine.symmetry.axes import Atom, Concat, Expression, Product
from engine.symmetry.told import telling
from engine.symmetry.unify import Algebra

MOST_TERMS = 256
"""An axis of more terms than this is not looked into; its atoms are not nested."""

Term = tuple[Atom, ...]
Terms = tuple[Term, ...]


@dataclass(frozen=True)
class Space:
    """Axes that an op runs through together, or those of one tensor."""

    axes: tuple[Expression, ...]
    is_view: bool = False
    """Whether the op takes axes apart and merges them."""


@dataclass(frozen=True)
class Contact:
    """An op that reads places along some axes of tensors with these axes."""

    acted: tuple[Expression, ...] | None
    """None: along any of them, for all that is known."""

    axes: tuple[Expression, ...]


class Nesting:
    """The pairs that were found: inner atom → outer atom."""

    def __init__(self, pairs: Mapping[Atom, Atom], same: Mapping[Atom, Atom]) -> None:
        self._pairs = dict(pairs)
        self._same = same

    def outer_of(self, inner: Atom) -> Atom | None:
        """Return the atom that an atom stands under, None where it is not nested."""
        return self._pairs.get(inner)

    def without(self, alone: Collection[Atom]) -> Nesting:
        """Return what is left where some atoms stand under no others, nor any under them."""
        left = {i: o for i, o in self._pairs.items() if i not in alone and o not in alone}
        return Nesting(left, self._same)

    def atoms(self) -> set[Atom]:
        """Return all atoms that are nested or that others are nested under."""
        return {*self._pairs, *self._pairs.values()}

    def is_same(self, atom: Atom, other: Atom) -> bool:
        """Return whether two atoms stand for the same units."""
        return self._same.get(atom, atom) is self._same.get(other, other)


def find_nesting(
    spaces: Iterable[Space],
    contacts: Iterable[Contact],
    parameters: Iterable[Sequence[Expression]],
    algebra: Algebra,
) -> Nesting:
    """Return which free atoms may permute differently under each index of another atom.

    Args:
        spaces: of every tensor and op of the graph.
        contacts: ops that are unknown or that read places along an axis.
        parameters: the axes of every parameter; a pair is of use only where they hold it.
        algebra: brings expressions up to date and knows which atoms are fixed.
    """
    same = same_fixed_atoms(algebra)
    search = _Search(algebra, same)
    for space in sorted(spaces, key=search.length):  # the short ones rule out the most
        search.look_at(space)
    for contact in contacts:
        search.touch(contact)
    order = dict.fromkeys(
        same.get(atom, atom)
        for axes in parameters
        for axis in axes
        for atom in chain.from_iterable(search.terms(axis))
    )
    return Nesting(_choose(search.candidates, list(order)), same)


def same_fixed_atoms(algebra: Algebra) -> dict[Atom, Atom]:
    """Return fixed atom → one of the atoms that it met whole, the same for all of them."""
    first: dict[Atom, Atom] = {}

    def root(atom: Atom) -> Atom:
        while (upper := first.get(atom, atom)) is not atom:
            atom = upper
        return atom

    for x, y in algebra.met_fixed():
        if isinstance(x, Atom) and isinstance(y, Atom) and root(x) is not root(y):
            first[root(y)] = root(x)
    return {atom: root(atom) for atom in first}


class _Search:
    """Outer atoms that are still possible for each inner atom."""

    def __init__(self, algebra: Algebra, same: Mapping[Atom, Atom]) -> None:
        self.algebra = algebra
        self.same = same
        self.tells = algebra.told.tells(lambda atom: same.get(atom, atom))
        self.candidates: dict[Atom, frozenset[Atom]] = {}
        self._terms: dict[int, tuple[Expression, Terms]] = {}
        self._seen: set[tuple[tuple[Terms, ...], bool]] = set()

    def length(self, space: Space) -> int:
        """Return how many terms the axes of a space have."""
        return sum(len(self.terms(axis)) for axis in space.axes)

    def look_at(self, space: Space) -> None:
        """Keep the candidates that this space allows for."""
        letters = tuple(self.terms(axis) for axis in space.axes)
        if (letters, space.is_view) in self._seen:
            return
        self._seen.add((letters, space.is_view))
        if not all(letters):  # an axis of too many terms may hold anything
            self._rule_out(_all_atoms(self.algebra.resolve(Product(space.axes))))
            return
        held = [frozenset(chain.from_iterable(terms)) for terms in letters]
        everything = frozenset().union(*held)
        for inner in everything:
            if self.algebra.is_fixed(inner):
                continue
            left = self.candidates.get(inner, everything - {inner})
            self.candidates[inner] = frozenset(
                outer
                for outer in left
                if outer in everything and _is_beside(outer, inner, letters, space.is_view)
            )

    def touch(self, contact: Contact) -> None:
        """Rule out what an op that reads places along an axis tears apart."""
        inside = _all_atoms(Product(tuple(self.algebra.resolve(axis) for axis in contact.axes)))
        if contact.acted is None:
            self._rule_out(inside)
            return
        acted = Product(tuple(self.algebra.resolve(axis) for axis in contact.acted))
        outer = {self.same.get(atom, atom) for atom in _all_atoms(acted)}
        outer.update(telling(frozenset(outer), self.tells))
        for atom in inside:
            if atom in self.candidates:
                self.candidates[atom] -= outer

    def _rule_out(self, inner: Iterable[Atom]) -> None:
        for atom in inner:
            self.candidates[atom] = frozenset()

    def terms(self, axis: Expression) -> Terms:
        """Return the different products of atoms that an axis is a concatenation of."""
        kept = self._terms.get(id(axis))
        if kept is None:  # the axis is kept as well, so that its id stays its own
            found = _terms(self.algebra.resolve(axis))
            own = (tuple(self.same.get(a, a) for a in term) for term in found)
            named = dict.fromkeys((*term, *telling(term, self.tells)) for term in own)
            kept = self._terms[id(axis)] = (axis, tuple(named))
        return kept[1]


def _terms(axis: Expression) -> list[Term]:
    """Return the terms of a resolved axis, none where there are too many."""
    if isinstance(axis, Atom):
        return [(axis,)] if axis.size > 1 else [()]
    if isinstance(axis, Concat):
        parts = [_terms(part) for part in axis.parts]
        found = list(dict.fromkeys(chain.from_iterable(parts)))
        return found if len(found) <= MOST_TERMS and all(parts) else []
    found: list[Term] = [()]
    for factor in axis.factors:
        own = _terms(factor)
        if len(found) * len(own) > MOST_TERMS:
            return []
        found = [(*left, *right) for left in found for right in own]
    return found


def _all_atoms(axis: Expression) -> set[Atom]:
    if isinstance(axis, Atom):
        return {axis}
    children = axis.factors if isinstance(axis, Product) else axis.parts
    return set().union(*map(_all_atoms, children))


def _is_beside(outer: Atom, inner: Atom, letters: Sequence[Terms], is_view: bool) -> bool:
    """Return whether one outer atom is told for every place of an inner one, and which."""
    counts = [[term.count(outer) for term in terms] for terms in letters]
    holds = [[inner in term for term in terms] for terms in letters]
    if not is_view and all(
        count == 1
        for own, has in zip(counts, holds, strict=True)
        for count, inside in zip(own, has, strict=True)
        if inside
    ):
        return True
    least, most = (sum(pick(own) for own in counts) for pick in (min, max))
    for own, has in zip(counts, holds, strict=True):
        rest = (least - min(own), most - max(own))
        if any(
            {count + others for others in rest} != {1}
            for count, inside in zip(own, has, strict=True)
            if inside
        ):
            return False
    return True


def _choose(candidates: Mapping[Atom, frozenset[Atom]], order: Sequence[Atom]) -> dict[Atom, Atom]:
    """Choose an outer atom for each inner one, such that no atom is both; the most gain first.

    Args:
        candidates: the outer atoms that an inner one may stand under.
        order: the atoms of the parameters; the first one decides between equals.
    """
    place = {atom: index for index, atom in enumerate(order)}
    inside: dict[Atom, list[Atom]] = {}
    for inner in order:
        for outer in candidates.get(inner, ()):
            if outer in place and outer.size > 1 and inner.size > 1:
                inside.setdefault(outer, []).append(inner)
    chosen: dict[Atom, Atom] = {}
    while inside:
        gains = {
            outer: sum((outer.size - 1) * lgamma(inner.size + 1) for inner in inners)
            for outer, inners in inside.items()
        }
        best = max(gains, key=lambda outer: (gains[outer], -place[outer]))
        taken = set(inside.pop(best))
        chosen |= dict.fromkeys(taken, best)
        inside = {
            outer: left
            for outer, inners in inside.items()
            if outer not in taken
            and (left := [inner for inner in inners if inner not in taken and inner is not best])
        }
    return chosen
