"""The algebra of axes: which atoms are equal, how they are refined, which are fixed.

`Algebra` is a union-find over atoms whose links may lead to whole expressions: an atom of 128
that meets 8 × 16 becomes 8 × 16, an atom that meets a concatenation is cut at its boundaries.
Where two expressions have no common refinement their atoms become fixed, with the reason.
Every step only adds constraints, so expressions handed out earlier stay valid; they are
brought up to date by `resolve`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from engine.symmetry.axes import (
    EMPTY,
    ONE,
    Atom,
    Concat,
    Expression,
    Product,
    atoms,
    common_block,
)

NO_REFINEMENT = "it is divided in two ways that have no common refinement"
SINGLE = "it is a single unit"


class NoRefinementError(Exception):
    """An axis cannot be divided as asked; the caller fixes it."""


class Algebra:
    """The state of one derivation: links between atoms, and fixed atoms with their reasons."""

    def __init__(self) -> None:
        self._links: dict[Atom, Expression] = {}
        self._reasons: dict[Atom, str] = {}
        self._unvarying: set[Atom] = set()
        self._met: list[tuple[Expression, Expression]] = []

    # --- making axes -------------------------------------------------------------------

    def free(self, size: int) -> Expression:
        """Return an axis that nothing constrains yet."""
        if size < 2:
            return ONE if size else EMPTY
        return Atom(size)

    def unvarying(self, size: int) -> Expression:
        """Return an axis whose permutation leaves the one tensor that has it as it is."""
        axis = self.free(size)
        self._unvarying.update(atoms(axis))
        return axis

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
        return self.concat([self.resolve(part) for part in expression.parts])

    def is_fixed(self, expression: Expression) -> bool:
        """Return whether every atom of a resolved axis is fixed."""
        if isinstance(expression, Atom):
            return expression in self._reasons
        return all(atom in self._reasons for atom in atoms(expression))

    def reason(self, expression: Expression) -> str:
        """Return why a resolved, fixed axis is fixed."""
        return next((self._reasons[atom] for atom in atoms(expression)), SINGLE)

    def met_fixed(self) -> list[tuple[Expression, Expression]]:
        """Return pairs of axes that met, one of them fixed: they need no link, neither moves."""
        return [(self.resolve(left), self.resolve(right)) for left, right in self._met]

    def is_unvarying(self, atom: Atom) -> bool:
        """Return whether the one tensor that has an atom is the same under its permutations."""
        return atom in self._unvarying

    # --- constraining axes -------------------------------------------------------------

    def fix(self, expression: Expression, reason: str) -> None:
        """Fix every atom of an axis; atoms that are fixed already keep their reason."""
        for atom in atoms(self.resolve(expression)):
            self._reasons.setdefault(atom, reason)
            self._unvarying.discard(atom)

    def unify(self, left: Expression, right: Expression) -> None:
        """Make two axes of the same length permute together.

        Raises:
            NoRefinementError: the lengths differ.
        """
        x, y = self.resolve(left), self.resolve(right)
        if x.size != y.size:
            raise NoRefinementError(f"lengths {x.size} and {y.size} differ")
        if x == y:
            return
        both = {*atoms(x), *atoms(y)}
        if not both <= self._unvarying:  # what meets an axis that tensors vary along does so too
            self._unvarying -= both
        if self.is_fixed(x) or self.is_fixed(y):
            self._met.append((x, y))
        if self.is_fixed(x):
            self.fix(y, self.reason(x))
        elif self.is_fixed(y):
            self.fix(x, self.reason(y))
        elif isinstance(x, Atom):
            self._links[x] = y
        elif isinstance(y, Atom):
            self._links[y] = x
        elif isinstance(x, Product) and isinstance(y, Product):
            self._unify_products(x, y)
        else:
            self._unify_pieces(x, y)

    def _unify_pieces(self, x: Expression, y: Expression) -> None:
        left, right = [x], [y]  # stacks: the next piece is the last
        while left:
            p, q = self._next_piece(left), self._next_piece(right)
            if p.size > q.size:
                p, tail = self.cut(p, q.size)
                left.append(tail)
            elif q.size > p.size:
                q, tail = self.cut(q, p.size)
                right.append(tail)
            self.unify(p, q)

    def _next_piece(self, stack: list[Expression]) -> Expression:
        piece = self.resolve(stack.pop())
        while isinstance(piece, Concat):
            stack.extend(reversed(piece.parts[1:]))
            piece = piece.parts[0]
        return piece

    def _unify_products(self, x: Product, y: Product) -> None:
        if x.factors[0].size < y.factors[0].size:
            x, y = y, x
        p, q = x.factors[0], y.factors[0]
        if p.size % q.size:
            i, j = common_block(x, y)
            for factor in (*x.factors[:i], *y.factors[:j]):
                self.fix(factor, NO_REFINEMENT)
            self.unify(Product(x.factors[i:]), Product(y.factors[j:]))
            return
        outer, inner = self.split(p, p.size // q.size)
        self.unify(outer, q)
        self.unify(Product((inner, *x.factors[1:])), Product(y.factors[1:]))

    # --- dividing axes -----------------------------------------------------------------

    def cut(self, expression: Expression, offset: int) -> tuple[Expression, Expression]:
        """Cut an axis in two after `offset` units, 0 < offset < size."""
        x = self.resolve(expression)
        if isinstance(x, Atom):
            return self._cut_atom(x, offset)
        if isinstance(x, Concat):
            return self._cut_concat(x, offset)
        return self._cut_product(x, offset)

    def segment(self, expression: Expression, start: int, stop: int) -> Expression:
        """Return the stretch [start, stop) of an axis; of length 0 where it is empty."""
        if start >= stop:
            return EMPTY
        x = self.resolve(expression)
        if stop < x.size:
            x, _ = self.cut(x, stop)
        return self.cut(x, start)[1] if start else x

    def _cut_product(self, x: Product, offset: int) -> tuple[Expression, Expression]:
        first, rest = x.factors[0], Product(x.factors[1:])
        index, remainder = divmod(offset, rest.size)
        before = self.segment(first, 0, index)
        after = self.segment(first, index + bool(remainder), first.size)
        middle = self.cut(rest, remainder) if remainder else (EMPTY, EMPTY)
        rest = self.resolve(rest)
        head = [self.product((self.resolve(before), rest))] if before.size else []
        tail = [self.product((self.resolve(after), rest))] if after.size else []
        return (
            self.concat([*head, self.resolve(middle[0])]),
            self.concat([self.resolve(middle[1]), *tail]),
        )

    def _cut_atom(self, atom: Atom, offset: int) -> tuple[Expression, Expression]:
        sizes = (offset, atom.size - offset)
        if atom in self._reasons:
            head, tail = (self.fixed(size, self._reasons[atom]) for size in sizes)
        else:
            head, tail = (self._part(atom, size) for size in sizes)
            self._links[atom] = self.concat((head, tail))
        return head, tail

    def _part(self, atom: Atom, size: int) -> Expression:
        return self.unvarying(size) if atom in self._unvarying else self.free(size)

    def _cut_concat(self, concat: Concat, offset: int) -> tuple[Expression, Expression]:
        ends = list(accumulate(part.size for part in concat.parts))
        index = next(i for i, end in enumerate(ends) if end >= offset)
        if ends[index] == offset:
            return self.concat(concat.parts[: index + 1]), self.concat(concat.parts[index + 1 :])
        part = concat.parts[index]
        head, tail = self.cut(part, offset - (ends[index] - part.size))
        before, after = (
            [self.resolve(p) for p in concat.parts[s]]
            for s in (slice(index), slice(index + 1, None))
        )
        return self.concat([*before, head]), self.concat([tail, *after])

    def split(self, expression: Expression, inner: int) -> tuple[Expression, Expression]:
        """Divide an axis into (outer, inner), where the inner one has `inner` units.

        Raises:
            NoRefinementError: the axis has no such division.
        """
        x = self.resolve(expression)
        if inner in (1, x.size):
            return (x, ONE) if inner == 1 else (ONE, x)
        if x.size % inner:
            raise NoRefinementError(f"{x.size} units are not a multiple of {inner}")
        if isinstance(x, Atom):
            return self._split_atom(x, inner)
        if isinstance(x, Product):
            return self._split_product(x, inner)
        divided = [self.split(part, inner) for part in x.parts]
        for _, other in divided[1:]:
            self.unify(divided[0][1], other)
        outer = self.concat([self.resolve(part) for part, _ in divided])
        return outer, self.resolve(divided[0][1])

    def _split_atom(self, atom: Atom, inner: int) -> tuple[Expression, Expression]:
        sizes = (atom.size // inner, inner)
        if atom in self._reasons:
            outside, inside = (self.fixed(size, self._reasons[atom]) for size in sizes)
        else:
            outside, inside = (self._part(atom, size) for size in sizes)
            self._links[atom] = Product((outside, inside))
        return outside, inside

    def _split_product(self, product: Product, inner: int) -> tuple[Expression, Expression]:
        outside, inside = list(product.factors), []
        while inner > 1:
            factor = outside.pop()
            if inner % factor.size == 0:
                inside.insert(0, factor)
                inner //= factor.size
            elif factor.size % inner == 0:
                left, right = self.split(factor, inner)
                outside.append(left)
                inside.insert(0, right)
                inner = 1
            else:
                raise NoRefinementError(f"{factor.size} units do not divide {inner} or it them")
        return (
            self.product([self.resolve(factor) for factor in outside]),
            self.product([self.resolve(factor) for factor in inside]),
        )
