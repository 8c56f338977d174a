"""Tensors whose stretches along one dimension are known by themselves, from view to use.

Ops that only move dimensions carry the stretches on, ops that take the dimension apart pick
them; before anything else the stretches are joined, and what stands beside the dimension is
the same in all of them from then on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

from torch import fx

from engine.symmetry.rules.lookahead import DIVIDERS, along, moved, op_name
from engine.symmetry.rules.registry import (
    RULES,
    Apart,
    Axes,
    Call,
    Folded,
    Stacked,
    Value,
    replaced,
)
from engine.symmetry.unify import Algebra


def tensors_of(value: Value) -> list[Axes]:
    """Return the axes of every tensor of a value, of every stretch by itself."""
    if isinstance(value, Apart | Stacked):
        return list(value.parts)
    if isinstance(value, Folded):
        return [(*(a for i, a in enumerate(value.axes) if i not in value.dims), value.whole)]
    if isinstance(value, list):
        return [axes for axes in value if axes is not None]
    return [] if value is None else [value]


def joined(algebra: Algebra, apart: Apart) -> Axes:
    """Return the axes of the whole tensor."""
    first, dim = apart.parts[0], apart.dim
    for part in apart.parts[1:]:
        for position, (left, right) in enumerate(zip(first, part, strict=True)):
            if position != dim:
                algebra.unify(left, right)
    whole = algebra.concat([algebra.resolve(part[dim]) for part in apart.parts])
    return replaced(first, dim, whole)


def followed(call: Call, source: fx.Node, apart: Apart) -> Value:
    """Return what an op makes of the stretches of its argument, None where it needs them all."""
    rank, name = len(apart.parts[0]), op_name(call.node)
    if not call.node.args or call.node.args[0] is not source:
        return None
    there = moved(call.node, apart.dim, rank)
    if there is not None:
        return Apart(there, tuple(_moved(call, source, part, there, apart) for part in apart.parts))
    if name not in ("unbind", "select", "slice", *DIVIDERS) or along(call.node, rank) != apart.dim:
        return None
    return _picked(call, apart, name)


def _moved(call: Call, source: fx.Node, part: Axes, there: int, apart: Apart) -> Axes:
    (shape,) = call.shapes
    shape = (*shape[:there], part[apart.dim].size, *shape[there + 1 :])
    own = replace(call, values={source: part}, shapes=(shape,))
    value = RULES[call.op](own)
    assert isinstance(value, tuple)
    return value


def _picked(call: Call, apart: Apart, name: str) -> Value:
    dim, sizes = apart.dim, [part[apart.dim].size for part in apart.parts]
    ends = list(accumulate(sizes))
    if name == "unbind":
        return [replaced(part, dim) for part in apart.parts] if max(sizes) == 1 else None
    if name == "select":
        place = call.integer("index") % ends[-1]
        found = _stretches(apart, ends, place, place + 1)
        return replaced(found[0], dim) if found else None
    if name == "slice":
        given = [call.arguments.get(end) for end in ("start", "end")]
        if call.integer("step", 1) != 1 or any(isinstance(end, fx.Node) for end in given):
            return None
        start, stop = slice(*given).indices(ends[-1])[:2]
        found = _stretches(apart, ends, start, stop)
        if len(found) == 1 or not found:
            return found[0] if found else None
        return Apart(dim, tuple(found))
    return _divided(call, apart, ends)


def _divided(call: Call, apart: Apart, ends: Sequence[int]) -> Value:
    results, start = [], 0
    for shape in call.shapes:
        found = _stretches(apart, ends, start, start + shape[apart.dim])
        if not found:
            return None
        start += shape[apart.dim]
        results.append(joined(call.algebra, Apart(apart.dim, tuple(found))))
    return results


def _stretches(apart: Apart, ends: Sequence[int], start: int, stop: int) -> list[Axes]:
    """Return the stretches that make up [start, stop), none where they do not fit."""
    starts = [0, *ends[:-1]]
    if start not in starts or stop not in ends:
        return []
    return list(apart.parts[starts.index(start) : list(ends).index(stop) + 1])
