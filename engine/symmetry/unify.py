"""The algebra of axes: which atoms are equal, how they are refined, which are fixed.

`Algebra` is a union-find over atoms whose links may lead to whole expressions: an atom of 128
that meets 8 × 16 becomes 8 × 16, an atom that meets a concatenation is cut at its boundaries.
Where two expressions have no common refinement their atoms become fixed, with the reason.
Every step only adds constraints, so expressions handed out earlier stay valid; they are
brought up to date by `resolve`.
"""

from __future__ import annotations

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
from engine.symmetry.normal_forms import SINGLE, NormalForms
from engine.symmetry.told import Told

NO_REFINEMENT = "it is divided in two ways that have no common refinement"


class NoRefinementError(Exception):
    """An axis cannot be divided as asked; the caller fixes it."""


class Algebra(NormalForms):
    """The state of one derivation: links between atoms, and fixed atoms with their reasons."""

    def __init__(self, *, scattering: bool = True) -> None:
        super().__init__()
        self.scattering = scattering
        """Whether axes may be divided into single units (`scattered.py`)."""
        self.scattered = False
        self.shuffled = False
        """Whether a shuffle was met, whatever was made of it."""
        self.grouped = False
        """Whether a convolution in groups was met whose channels are factors (`stacks.py`)."""
        self.told = Told()
        self._met: list[tuple[Expression, Expression]] = []

    def met_fixed(self) -> list[tuple[Expression, Expression]]:
        """Return pairs of axes that met, one of them fixed: they need no link, neither moves."""
        return [(self.resolve(left), self.resolve(right)) for left, right in self._met]

    # --- constraining axes -------------------------------------------------------------

    def fix(self, expression: Expression, reason: str) -> None:
        """Fix every atom of an axis; atoms that are fixed already keep their reason."""
        for atom in atoms(self.resolve(expression)):
            self._reasons.setdefault(atom, reason)
            self.constants.discard((atom,))

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
        both = (*atoms(x), *atoms(y))
        if not self.constants.holds_all(both):  # what meets an axis along which tensors vary
            self.constants.discard(both)
        if self.is_fixed(x) or self.is_fixed(y):
            self._met.append((x, y))
        if self.is_fixed(x):
            self.fix(y, self.reason(x))
        elif self.is_fixed(y):
            self.fix(x, self.reason(y))
        elif isinstance(x, Atom):
            self._link(x, y)
        elif isinstance(y, Atom):
            self._link(y, x)
        elif isinstance(x, Product) and isinstance(y, Product):
            self._unify_products(x, y)
        else:
            self._unify_pieces(x, y)

    def _link(self, atom: Atom, other: Expression) -> None:
        if atom in atoms(other):  # beside it only single units, which are the same axis
            for single in atoms(other):
                self._fix_single(single)
            return
        self._links[atom] = other
        self.constants.meet(atom, atoms(other))

    def _unify_pieces(self, x: Expression, y: Expression) -> None:
        left, right = [x], [y]  # stacks: the next piece is the last
        while left:
            p, q = self._next_piece(left), self._next_piece(right)
            if p.size > q.size:
                p, tail = self._cut(p, q.size)
                left.append(tail)
            elif q.size > p.size:
                q, tail = self._cut(q, p.size)
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
        """Cut an axis in two after `offset` units, 0 < offset < size; a single unit is fixed."""
        parts = self._cut(expression, offset)
        for part in parts:
            self._fix_single(part)
        return parts

    def segment(self, expression: Expression, start: int, stop: int) -> Expression:
        """Return the stretch [start, stop) of an axis; a single unit is fixed."""
        part = self._segment(expression, start, stop)
        self._fix_single(part)
        return part

    def units(self, expression: Expression) -> list[Expression]:
        """Divide an axis into single units that may go ways of their own (`scattered.py`)."""
        self.scattered = True
        x = self.resolve(expression)
        if isinstance(x, Concat):
            return [unit for part in x.parts for unit in self.units(part)]
        if isinstance(x, Product):
            outer, inner = self.units(x.factors[0]), self.units(Product(x.factors[1:]))
            return [self.product((left, right)) for left in outer for right in inner]
        if x.size == 1:
            return [x]
        parts = [Atom(1) for _ in range(x.size)]
        if x in self._reasons:
            self._reasons |= dict.fromkeys(parts, self._reasons[x])
        else:
            for part in parts:
                self.constants.hand_on(x, part)
            self._links[x] = Concat(tuple(parts))
        return list(parts)

    def _fix_single(self, part: Expression) -> None:
        if part.size == 1:
            self.fix(part, SINGLE)

    def _cut(self, expression: Expression, offset: int) -> tuple[Expression, Expression]:
        x = self.resolve(expression)
        if isinstance(x, Atom):
            return self._cut_atom(x, offset)
        if isinstance(x, Concat):
            return self._cut_concat(x, offset)
        return self._cut_product(x, offset)

    def _segment(self, expression: Expression, start: int, stop: int) -> Expression:
        if start >= stop:
            return EMPTY
        x = self.resolve(expression)
        if stop < x.size:
            x, _ = self._cut(x, stop)
        return self._cut(x, start)[1] if start else x

    def _cut_product(self, x: Product, offset: int) -> tuple[Expression, Expression]:
        first, rest = x.factors[0], Product(x.factors[1:])
        index, remainder = divmod(offset, rest.size)
        before = self._segment(first, 0, index)
        after = self._segment(first, index + bool(remainder), first.size)
        if remainder:  # the unit that is torn apart is told by its place
            self.segment(first, index, index + 1)
        middle = self._cut(rest, remainder) if remainder else (EMPTY, EMPTY)
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
        part = Atom(size)
        self.constants.hand_on(atom, part)
        return part

    def _cut_concat(self, concat: Concat, offset: int) -> tuple[Expression, Expression]:
        ends = list(accumulate(part.size for part in concat.parts))
        index = next(i for i, end in enumerate(ends) if end >= offset)
        if ends[index] == offset:
            return self.concat(concat.parts[: index + 1]), self.concat(concat.parts[index + 1 :])
        part = concat.parts[index]
        head, tail = self._cut(part, offset - (ends[index] - part.size))
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
