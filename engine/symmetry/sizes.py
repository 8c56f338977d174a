"""Sizes of traced tensors as plain integers; the dynamic batch stands as a large prime.

With a prime that no real size comes near, `batch · 49` divides like the product that it is,
and two different dynamic sizes never look equal.
"""

from __future__ import annotations

from math import prod

import sympy
import torch

FIRST_PRIME = 2**31 - 1

Size = int | torch.SymInt


class UnsizedError(Exception):
    """A size is no polynomial in the dynamic sizes, so that no prime can stand for them."""


class Sizes:
    """Stand-ins for the symbols of one graph."""

    def __init__(self) -> None:
        self._prime = FIRST_PRIME
        self._symbols: dict[sympy.Symbol, int] = {}
        self._known: dict[sympy.Expr, int] = {}
        self._opaque: dict[sympy.Expr, int] = {}

    def shape(self, tensor: torch.Tensor) -> tuple[int, ...]:
        """Return a traced tensor's shape.

        Raises:
            UnsizedError: a size is no polynomial in the dynamic sizes.
        """
        return tuple(self._size(size) for size in tensor.shape)

    def shape_or_opaque(self, tensor: torch.Tensor) -> tuple[int, ...]:
        """Return a traced tensor's shape, with primes of their own for sizes unknown."""
        sizes = []
        for size in tensor.shape:
            try:
                sizes.append(self._size(size))
            except UnsizedError:
                expression = size.node.expr  # type: ignore[union-attr]
                sizes.append(self._opaque.setdefault(expression, self._next_prime()))
        return tuple(sizes)

    def _size(self, size: Size) -> int:
        if isinstance(size, int):
            return size
        expression = size.node.expr
        if expression not in self._known:
            self._known[expression] = self._evaluate(expression)
        return self._known[expression]

    def _evaluate(self, expression: sympy.Expr) -> int:
        symbols = sorted(expression.atoms(sympy.Symbol), key=str)
        if not expression.is_polynomial(*symbols) or any(s.name[0] == "u" for s in symbols):
            raise UnsizedError
        if not symbols:
            return int(expression)
        for symbol in symbols:
            if symbol not in self._symbols:
                self._symbols[symbol] = self._next_prime()
        values = [self._symbols[symbol] for symbol in symbols]
        return sum(
            int(coefficient) * prod(v**power for v, power in zip(values, powers, strict=True))
            for powers, coefficient in sympy.Poly(expression, *symbols).terms()
        )

    def _next_prime(self) -> int:
        self._prime = int(sympy.nextprime(self._prime))
        return self._prime
