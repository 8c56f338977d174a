"""Ops that join and divide axes: concatenations, slices, padding, indexing."""

from __future__ import annotations

from engine.symmetry.axes import ONE, Expression
from engine.symmetry.rules.registry import (
    Call,
    NoRuleError,
    Value,
    dimension,
    replaced,
    rule,
)
from engine.symmetry.rules.strided import every

CHOICE = "picks places by their number"
STACK = "numbers the tensors that it stacks"


@rule("cat", "concat", "concatenate")
def cat(call: Call) -> Value:
    """Along one dimension one after the other, unified along the others."""
    operands, algebra = call.many("tensors"), call.algebra
    first = operands[0]
    if any(len(axes) != len(first) for axes in operands):
        raise NoRuleError  # the old form that skips empty tensors
    index = dimension(call.integer("dim", 0), len(first))
    for axes in operands[1:]:
        for position, (left, right) in enumerate(zip(first, axes, strict=True)):
            if position != index:
                call.unify(left, right)
    joined = algebra.concat([algebra.resolve(axes[index]) for axes in operands])
    return replaced(first, index, joined)


@rule("stack")
def stack(call: Call) -> Value:
    """A new dimension numbers the tensors, which are unified along the others."""
    operands = call.many("tensors")
    for axes in operands[1:]:
        for left, right in zip(operands[0], axes, strict=True):
            call.unify(left, right)
    index = dimension(call.integer("dim", 0), len(operands[0]) + 1)
    new = call.fixed((len(operands),), STACK)
    return (*operands[0][:index], *new, *operands[0][index:])


@rule(
    *("split", "split_with_sizes", "chunk", "tensor_split", "unsafe_split", "unsafe_chunk"),
    *("split_copy", "split_with_sizes_copy", "unsafe_split_with_sizes"),
)
def split(call: Call) -> Value:
    """Consecutive stretches of one dimension, all of it."""
    x = call.axes("self")
    index = dimension(call.integer("dim", 0), len(x))
    parts, start = [], 0
    for shape in call.shapes:
        stop = start + shape[index]
        parts.append(replaced(x, index, call.algebra.segment(x[index], start, stop)))
        start = stop
    return parts


@rule("unbind", "unbind_copy")
def unbind(call: Call) -> Value:
    """Every unit of one dimension by itself: the dimension is fixed."""
    x = call.axes("self")
    index = dimension(call.integer("dim", 0), len(x))
    call.fix((x[index],), CHOICE)
    return [replaced(x, index)] * len(call.shapes)


@rule("slice", "slice_copy")
def slice_(call: Call) -> Value:
    """A stretch of one dimension, or one unit in so many."""
    x = call.axes("self")
    index = dimension(call.integer("dim", 0), len(x))
    size, step = x[index].size, call.integer("step", 1)
    start, stop = _bounds(call, size)
    if (start, stop, step) == (0, size, 1):
        return x
    if step == 1:
        return replaced(x, index, call.algebra.segment(x[index], start, stop))
    return replaced(x, index, every(call, x[index], start, call.shape[index], step))


def _bounds(call: Call, size: int) -> tuple[int, int]:
    """Return start and end of a slice, counted from the front and within the axis."""
    given = (call.integer("start", 0), call.integer("end", size))
    start, stop = (min(max(v + size if v < 0 else v, 0), size) for v in given)
    return start, stop


@rule("narrow", "narrow_copy")
def narrow(call: Call) -> Value:
    """A stretch of one dimension by start and length."""
    x = call.axes("self")
    index = dimension(call.integer("dim"), len(x))
    start = dimension(call.integer("start"), x[index].size)
    stretch = call.algebra.segment(x[index], start, start + call.integer("length"))
    return replaced(x, index, stretch)


@rule("select", "select_copy")
def select(call: Call) -> Value:
    """One unit of one dimension: it is cut out, the others stay free."""
    x = call.axes("self")
    index = dimension(call.integer("dim"), len(x))
    place = dimension(call.integer("index"), x[index].size)
    call.algebra.segment(x[index], place, place + 1)
    return replaced(x, index)


@rule("slice_scatter", "select_scatter")
def scatter(call: Call) -> Value:
    """A stretch or unit of one dimension overwritten: it permutes with what it is given."""
    x, source = call.axes("self"), call.axes("src")
    index = dimension(call.integer("dim", 0), len(x))
    if call.op == "select_scatter":
        start = dimension(call.integer("index"), x[index].size)
        stop, source = start + 1, (*source[:index], ONE, *source[index:])
    else:
        start, stop = _bounds(call, x[index].size)
        if call.integer("step", 1) != 1:
            raise NoRuleError
    call.unify(call.algebra.segment(x[index], start, stop), source[index])
    for position, (left, right) in enumerate(zip(x, source, strict=True)):
        if position != index:
            call.unify(left, right)
    return x


@rule("constant_pad_nd", "pad")
def pad(call: Call) -> Value:
    """New units with one value around a dimension; other modes copy units by place."""
    x, pads = call.axes("self"), call.integers("pad")
    constant = call.arguments.get("mode", "constant") == "constant"
    result = list(x)
    for offset in range(len(pads) // 2):
        index, (before, after) = len(x) - 1 - offset, pads[2 * offset : 2 * offset + 2]
        if constant:
            result[index] = _padded(call, x[index], before, after)
        elif before or after:
            call.fix((x[index],), CHOICE)
            result[index] = call.fixed((call.shape[index],), CHOICE)[0]
    return tuple(result)


def _padded(call: Call, axis: Expression, before: int, after: int) -> Expression:
    """Return an axis with constant units around it; negative counts crop."""
    algebra = call.algebra
    kept = algebra.segment(axis, max(-before, 0), axis.size - max(-after, 0))
    front, behind = algebra.alike(max(before, 0), max(after, 0))
    return algebra.concat([front, algebra.resolve(kept), behind])
