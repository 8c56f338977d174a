"""Where a dimension of a traced tensor is taken apart further on.

A view that numbers three projections (`3 × heads × head size`) is followed by `unbind`, `select`
or slices along that dimension. Knowing this at the view, the stretches get axes of their own
(`apart.py`), so that the head size of q and k may permute otherwise than that of v.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, fx

from engine.symmetry.rules.registry import dimension

SAME = frozenset(
    (
        *("clone", "contiguous", "to", "_to_copy", "alias", "detach", "float", "double", "half"),
        *("type_as", "lift_fresh_copy", "dropout"),
    )
)
"""Ops that leave every dimension where it is."""

PASSED = ("slice", "narrow", "select")
DIVIDERS = frozenset(("split", "split_with_sizes", "chunk", "tensor_split", "unsafe_split"))
DEEPEST = 24


def op_name(node: fx.Node) -> str:
    """Return the name of a node's op without `aten::`, empty for what is no op."""
    target = node.target
    if not isinstance(target, torch._ops.OpOverload):
        return ""
    return target._schema.name.removeprefix("aten::")


def moved(node: fx.Node, dim: int, rank: int) -> int | None:
    """Return where a node's op puts a dimension of its first argument; None where it ends."""
    name = op_name(node)
    if name in SAME:
        return dim
    if name in MOVES:
        return MOVES[name](node.args[1:], dim, rank)
    if name in PASSED and along(node, rank) != dim:
        return dim - (name == "select" and along(node, rank) < dim)
    return None


def _permuted(args: Sequence[Any], dim: int, rank: int) -> int:
    return [dimension(index, rank) for index in args[0]].index(dim)


def _exchanged(args: Sequence[Any], dim: int, rank: int) -> int:
    i, j = (dimension(index, rank) for index in args)
    return {i: j, j: i}.get(dim, dim)


def _unsqueezed(args: Sequence[Any], dim: int, rank: int) -> int:
    return dim + (dimension(args[0], rank + 1) <= dim)


def _squeezed(args: Sequence[Any], dim: int, rank: int) -> int | None:
    if not args or not isinstance(args[0], int):
        return None
    return dim - (dimension(args[0], rank) < dim)


MOVES: dict[str, Callable[[Sequence[Any], int, int], int | None]] = {
    "permute": _permuted,
    "transpose": _exchanged,
    "swapaxes": _exchanged,
    "swapdims": _exchanged,
    "unsqueeze": _unsqueezed,
    "squeeze": _squeezed,
}


def along(node: fx.Node, rank: int) -> int:
    """Return the dimension along which a slice, select, split or unbind works."""
    first = 1 if op_name(node) in ("slice", "narrow", "select", "unbind") else 2
    given = node.kwargs.get("dim", node.args[first] if len(node.args) > first else 0)
    return dimension(int(given), rank)  # type: ignore[arg-type]


def boundaries(node: fx.Node, dim: int, depth: int = 0) -> frozenset[int]:
    """Return the places inside a dimension at which some later op cuts it."""
    value = node.meta.get("val")
    if not isinstance(value, Tensor) or not isinstance(value.shape[dim], int) or depth > DEEPEST:
        return frozenset()
    size, rank, found = value.shape[dim], value.dim(), set()
    if size < 2:
        return frozenset()
    for user in node.users:
        if not user.args or user.args[0] is not node:
            continue
        there = moved(user, dim, rank)
        if there is not None:
            found |= boundaries(user, there, depth + 1)
        else:
            found.update(_cuts(user, dim, rank, size))
    return frozenset(place for place in found if 0 < place < size)


def _cuts(user: fx.Node, dim: int, rank: int, size: int) -> Iterator[int]:
    name, args = op_name(user), user.args
    if name in ("unbind", "select", "slice", *DIVIDERS) and along(user, rank) != dim:
        return
    if name == "unbind":
        yield from range(1, size)
    elif name == "select" and isinstance(args[2], int):
        place = dimension(args[2], size)
        yield from (place, place + 1)
    elif name == "slice" and (len(args) < 5 or args[4] == 1):
        given = (*args[2:4], None, None)[:2]
        if all(end is None or isinstance(end, int) for end in given):
            start, stop = slice(*given).indices(size)[:2]
            yield from (start, stop)
    elif name in DIVIDERS:
        place = 0
        for part in user.meta["val"]:
            place += int(part.shape[dim])
            yield place
