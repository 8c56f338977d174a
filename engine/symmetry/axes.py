"""Axis expressions: what one dimension of a tensor is made of.

An axis of length n is an atom; a product of axes, outer to inner (a flattened `C*H*W`, heads
× head size); or a concatenation of axes (`cat`, fused projections, padded channels). A
permutation of an atom moves every axis whose expression holds it, in the place where it
stands. Pure values: which atoms are equal, refined or fixed is known by `unify.Algebra`.

Atoms that are one group on scattered stretches (the two zero pads around a shortcut) are found
afterwards (`merging.py`), and so are inner atoms that permute differently for each index of an
outer one (`nesting.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from math import prod


@dataclass(frozen=True, eq=False)
class Atom:
    """A stretch of `size` units that nothing has divided so far; equal only to itself."""

    size: int

    def __repr__(self) -> str:
        return f"a{id(self) % 9973}:{self.size}"


@dataclass(frozen=True)
class Product:
    """Axes one inside the other; the unit at (i, j) stands at i · size(inner) + j."""

    factors: tuple[Expression, ...]
    size: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", prod(factor.size for factor in self.factors))

    def __repr__(self) -> str:
        return "(" + " × ".join(map(repr, self.factors)) + ")"


@dataclass(frozen=True)
class Concat:
    """Axes one after the other."""

    parts: tuple[Expression, ...]
    size: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", sum(part.size for part in self.parts))

    def __repr__(self) -> str:
        return "[" + " | ".join(map(repr, self.parts)) + "]"


Expression = Atom | Product | Concat

ONE = Product(())
"""The axis of length 1."""

EMPTY = Concat(())
"""The axis of length 0."""


@dataclass(frozen=True)
class Place:
    """Where an atom stands in an axis: the middle of (outer, atom, inner) from `start` on."""

    atom: Atom
    start: int
    outer: int
    inner: int


def atoms(expression: Expression) -> Iterator[Atom]:
    """Yield the atoms of an expression from left to right, repeated ones repeatedly."""
    if isinstance(expression, Atom):
        yield expression
        return
    children = expression.factors if isinstance(expression, Product) else expression.parts
    for child in children:
        yield from atoms(child)


def places(expression: Expression) -> Iterator[Place]:
    """Yield every place of every atom; a concatenation under a product is unrolled."""
    if isinstance(expression, Atom):
        yield Place(expression, 0, 1, 1)
    elif isinstance(expression, Concat):
        start = 0
        for part in expression.parts:
            for place in places(part):
                yield Place(place.atom, start + place.start, place.outer, place.inner)
            start += part.size
    else:
        yield from _places_in_product(expression)


def _places_in_product(product: Product) -> Iterator[Place]:
    outer, inner = 1, product.size
    for factor in product.factors:
        inner //= factor.size
        if isinstance(factor, Atom):
            yield Place(factor, 0, outer, inner)
        else:
            for index in range(outer):
                for place in places(factor):
                    start = (index * factor.size + place.start) * inner
                    yield Place(place.atom, start, place.outer, place.inner * inner)
        outer *= factor.size


def common_block(x: Product, y: Product) -> tuple[int, int]:
    """Return how many leading factors of each have the same length together."""
    ends = {prod(f.size for f in y.factors[:j]): j for j in range(1, len(y.factors) + 1)}
    lengths = accumulate((f.size for f in x.factors), lambda a, b: a * b)
    return next((i, ends[length]) for i, length in enumerate(lengths, 1) if length in ends)
