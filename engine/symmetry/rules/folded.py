"""Shuffles: an axis is laid out along several dimensions, which are merged in another order.

`view(n, 2, c // 2, …).transpose(1, 2).reshape(n, c, …)`. Seen at the first view, it needs no
division of the axis that holds for all units alike: each unit is followed (`scattered.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import torch
from torch import Tensor, fx

from engine.symmetry.rules.lookahead import DEEPEST, moved, op_name
from engine.symmetry.rules.registry import RULES, Axes, Call, Folded, replaced
from engine.symmetry.scattered import taken

MERGES = frozenset(("view", "reshape", "_unsafe_view", "flatten", "view_copy", "_reshape_alias"))


def blocks(have: Sequence[int], want: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """Return the smallest stretches of dimensions, old and new, that have the same length.

    Raises:
        IndexError: there are none such.
    """
    sources = [i for i, size in enumerate(have) if size != 1]
    targets = [j for j, size in enumerate(want) if size != 1]
    found = []
    while targets:
        old, new = [sources.pop(0)], [targets.pop(0)]
        while (left := prod(have[i] for i in old)) != (right := prod(want[j] for j in new)):
            if left < right:
                old.append(sources.pop(0))
            else:
                new.append(targets.pop(0))
        found.append((old, new))
    return found


def are_merged(node: fx.Node, dims: Sequence[int], depth: int = 0) -> bool:
    """Return whether every use of a node merges some dimensions, and nothing else with them."""
    value = node.meta.get("val")
    if not isinstance(value, Tensor) or not node.users or depth > DEEPEST:
        return False
    for user in node.users:
        if not user.args or user.args[0] is not node:
            return False
        there = [moved(user, dim, value.dim()) for dim in dims]
        if op_name(user) in MERGES:
            if _merged_into(_sizes(value), _sizes(user.meta.get("val")), dims) is None:
                return False
        elif None in there or not are_merged(user, [d for d in there if d is not None], depth + 1):
            return False
    return True


def _merged_into(have: Sequence[int], want: Sequence[int], dims: Sequence[int]) -> int | None:
    """Return the dimension into which a view merges some others."""
    try:
        found = [new for old, new in blocks(have, want) if old == sorted(dims)]
    except IndexError:
        return None
    return found[0][0] if found and len(found[0]) == 1 else None


def _sizes(value: object) -> list[int]:
    """Return a traced tensor's sizes, with a number that none has for what the batch decides."""
    if not isinstance(value, Tensor):
        return []
    sizes = [size if isinstance(size, int) else -1 for size in value.shape]
    return sizes if sizes.count(-1) < 2 else []


def merged(call: Call, source: fx.Node, folded: Folded) -> Axes | Folded | None:
    """Return what an op makes of an axis that is laid out, None where it needs it otherwise."""
    own = replace(call, values={source: folded.axes})
    there = [moved(call.node, dim, len(folded.axes)) for dim in folded.dims]
    if None not in there:
        axes = RULES[call.op](own)
        assert isinstance(axes, tuple)
        return Folded(axes, tuple(dim for dim in there if dim is not None), folded.whole)
    sizes = [axis.size for axis in folded.axes]
    target = _merged_into(sizes, call.shape, folded.dims)
    if call.op not in MERGES or target is None:
        return None
    axes = RULES[call.op](own)
    assert isinstance(axes, tuple)
    by_place = sorted(range(len(folded.dims)), key=folded.dims.__getitem__)
    numbers = torch.arange(folded.whole.size).view([sizes[dim] for dim in folded.dims])
    order = numbers.permute(by_place).flatten().tolist()
    return replaced(axes, target, taken(call.algebra, folded.whole, order))


def divided(call: Call, folded: Folded) -> Axes:
    """Return the axes of a laid out tensor as factors of the axis."""
    axes, whole = list(folded.axes), folded.whole
    for dim in reversed(folded.dims[1:]):
        whole, axes[dim] = call.split(whole, axes[dim].size)
    axes[folded.dims[0]] = whole
    return tuple(axes)
