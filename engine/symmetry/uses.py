"""A tensor's axes for one use of it: what it does not vary along is new each time.

What permutes such an axis in one use need not in another, since the tensor stays as it is: a
mask of zeros that two layers share does not tie their heads, nor one first state their units.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.symmetry.axes import Atom, Concat, Expression, Product, atoms
from engine.symmetry.unify import Algebra


def renewed(algebra: Algebra, axes: Sequence[Expression]) -> tuple[Expression, ...]:
    """Return a tensor's axes, brought up to date, with new atoms for unvarying ones.

    An atom that stands in several places (the identity matrix has one twice) is renewed in
    all of them alike.
    """
    resolved = [algebra.resolve(axis) for axis in axes]
    constants = algebra.constants
    old = {atom for axis in resolved for atom in atoms(axis) if atom in constants}
    new = constants.renewed(old)
    return tuple(_with(axis, new) for axis in resolved) if new else tuple(resolved)


def _with(axis: Expression, new: Mapping[Atom, Atom]) -> Expression:
    if isinstance(axis, Atom):
        return new.get(axis, axis)
    if isinstance(axis, Product):
        return Product(tuple(_with(factor, new) for factor in axis.factors))
    return Concat(tuple(_with(part, new) for part in axis.parts))
