"""The normal forms of axes: products, concatenations and atoms under what is known so far."""

from __future__ import annotations

from collections.abc import Sequence

from engine.symmetry.axes import (
    EMPTY,
    ONE,
    Atom,
    Concat,
    Expression,
    Product,
    atoms,
)
from engine.symmetry.unvarying import Unvarying

SINGLE = "it is a single unit"


class NormalForms:
    """Links between atoms and expressions, fixed atoms with their reasons, unvarying atoms."""

    def __init__(self) -> None:
        self._links: dict[Atom, Expression] = {}
        self._reasons: dict[Atom, str] = {}
        self.constants = Unvarying()

    # --- making axes -------------------------------------------------------------------

    def free(self, size: int) -> Expression:
        """Return an axis that nothing constrains yet."""
        if size < 2:
            return ONE if size else EMPTY
        return Atom(size)

    def unvarying(self, size: int) -> Expression:
        """Return an axis whose permutation leaves the one tensor that has it as it is."""
        axis = self.free(size)
        self.constants.enter(atoms(axis))
        return axis

    def alike(self, *sizes: int) -> list[Expression]:
        """Return stretches of one axis whose units a tensor does not tell apart at all."""
        parts: list[Expression] = [Atom(size) if size else EMPTY for size in sizes]
        self.constants.enter(atom for part in parts for atom in atoms(part))
        return parts

    def fixed(self, size: int, reason: str) -> Expression:
        """Return an axis whose order carries a meaning, and why."""
        if size < 2:
            return ONE if size else EMPTY
        atom = Atom(size)
        self._reasons[atom] = reason
        return atom

    def product(self, factors: Sequence[Expression]) -> Expression:
        """Return the normal form of a product of resolved axes, outer to inner."""
        flat: list[Expression] = []
        for factor in factors:
            pieces = factor.factors if isinstance(factor, Product) else (factor,)
            for piece in pieces:
                if flat and self.is_fixed(flat[-1]) and self.is_fixed(piece):
                    flat[-1] = self.fixed(flat[-1].size * piece.size, self.reason(flat[-1]))
                else:
                    flat.append(piece)
        if flat and isinstance(flat[0], Concat) and len(flat) > 1:
            return self.concat([self.product((part, *flat[1:])) for part in flat[0].parts])
        return flat[0] if len(flat) == 1 else Product(tuple(flat))

    def concat(self, parts: Sequence[Expression]) -> Expression:
        """Return the normal form of a concatenation of resolved axes."""
        flat: list[Expression] = []
        for part in parts:
            for piece in part.parts if isinstance(part, Concat) else (part,):
                if flat and self.is_fixed(flat[-1]) and self.is_fixed(piece):
                    reason = self.reason(piece if flat[-1].size == 1 else flat[-1])
                    flat[-1] = self.fixed(flat[-1].size + piece.size, reason)
                else:
                    flat.append(piece)
        return flat[0] if len(flat) == 1 else Concat(tuple(flat))

    # --- looking at axes ---------------------------------------------------------------

    def resolve(self, expression: Expression) -> Expression:
        """Return the normal form under everything known so far."""
        if isinstance(expression, Atom):
            if expression not in self._links:
                return expression
            resolved = self.resolve(self._links[expression])
            self._links[expression] = resolved
            return resolved
        if isinstance(expression, Product):
            return self.product([self.resolve(factor) for factor in expression.factors])
        if self._is_normal(expression):
            return expression
        return self.concat([self.resolve(part) for part in expression.parts])

    def _is_normal(self, concat: Concat) -> bool:
        """Return whether a concatenation of many units is what it was when it was made."""
        parts = concat.parts
        return (
            all(isinstance(part, Atom) for part in parts)
            and self._links.keys().isdisjoint(parts)
            and self._reasons.keys().isdisjoint(parts)
        )

    def is_fixed(self, expression: Expression) -> bool:
        """Return whether every atom of a resolved axis is fixed."""
        if isinstance(expression, Atom):
            return expression in self._reasons
        return all(atom in self._reasons for atom in atoms(expression))

    def reason(self, expression: Expression) -> str:
        """Return why a resolved, fixed axis is fixed."""
        return next((self._reasons[atom] for atom in atoms(expression)), SINGLE)
