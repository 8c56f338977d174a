"""Ops that step through an axis: slices with a step, sliding windows, strided views."""

from __future__ import annotations

from engine.symmetry.axes import ONE, Expression
from engine.symmetry.rules.registry import (
    Axes,
    Call,
    NoRuleError,
    Value,
    dimension,
    replaced,
    rule,
)
from engine.symmetry.rules.regroup import regrouped

WINDOW = "reads places through a window"


def every(call: Call, axis: Expression, start: int, count: int, step: int) -> Expression:
    """Return `count` units of an axis, one in `step`, from `start` on.

    The axis is (outer, step): the unit that is taken is cut out of the inner factor, and the
    outer one stays free. What is left of the axis behind the last full step is cut off.
    """
    algebra = call.algebra
    if count < 2:
        return algebra.segment(axis, start, start + count)
    whole = count if start + count * step <= axis.size else count - 1
    outer, inner = call.split(algebra.segment(axis, start, start + whole * step), step)
    algebra.cut(inner, 1)
    if whole == count:
        return outer
    last = start + whole * step
    algebra.segment(axis, last, last + 1)
    return algebra.concat([algebra.resolve(outer), ONE])


@rule("unfold", "unfold_copy")
def unfold(call: Call) -> Value:
    """Windows along one axis, their places last: (window, place) where they do not overlap."""
    x = call.axes("self")
    at = dimension(call.integer("dimension"), len(x))
    size, step, count = call.integer("size"), call.integer("step"), call.shape[at]
    if size == x[at].size:
        return (*replaced(x, at, ONE), x[at])
    if size == step:
        covered = call.algebra.segment(x[at], 0, count * size)
        outer, inner = call.split(covered, size)
        return (*replaced(x, at, outer), inner)
    call.fix((x[at],), WINDOW)
    return (*replaced(x, at, *call.fixed((count,), WINDOW)), *call.fixed((size,), WINDOW))


@rule("as_strided", "as_strided_copy")
def as_strided(call: Call) -> Value:
    """A view by strides of a tensor that lies in memory as it is indexed.

    Covers views of another shape, dimensions in another order, stretched, cut or stepped
    through, and windows; all that is more is no rule.
    """
    x, sizes, strides = call.axes("self"), call.shape, call.integers("stride")
    offset = call.integer("storage_offset", 0)
    have = _row_major([axis.size for axis in x])
    if call.strides("self") != have:
        raise NoRuleError
    if offset == 0 and list(strides) == _row_major(sizes):
        total = _count(sizes)
        if total == _count([axis.size for axis in x]):
            return regrouped(call, x, call.shape)
    return _by_dimension(call, x, have, sizes, strides, offset)


def _by_dimension(
    call: Call,
    x: Axes,
    have: list[int],
    sizes: tuple[int, ...],
    strides: tuple[int, ...],
    offset: int,
) -> Axes:
    """Find for every new dimension the old one through which it steps."""
    starts = []
    for axis, stride in zip(x, have, strict=True):
        start, offset = divmod(offset, stride)
        starts.append(start if axis.size > 1 else 0)
    steps: dict[int, list[tuple[int, int]]] = {}
    for new, (size, stride) in enumerate(zip(sizes, strides, strict=True)):
        if size == 1 or stride == 0:
            continue
        old = next(
            i for i, (a, s) in enumerate(zip(x, have, strict=True)) if a.size > 1 and s <= stride
        )
        if stride % have[old]:
            raise NoRuleError
        steps.setdefault(old, []).append((new, stride // have[old]))
    result = list(call.free(sizes))
    for old, axis in enumerate(x):
        news = steps.get(old, [])
        if starts[old] + sum((sizes[new] - 1) * step for new, step in news) >= axis.size:
            raise NoRuleError  # it runs over the end of the dimension into the next one
        if len(news) == 1:
            ((new, step),) = news
            count = sizes[new]
            result[new] = (
                call.algebra.segment(axis, starts[old], starts[old] + count)
                if step == 1
                else every(call, axis, starts[old], count, step)
            )
        elif axis.size > 1:
            call.fix((axis,), WINDOW)
            for new, _ in news:
                result[new] = call.fixed((sizes[new],), WINDOW)[0]
    return tuple(result)


def _row_major(sizes: list[int] | tuple[int, ...]) -> list[int]:
    strides, step = [], 1
    for size in reversed(sizes):
        strides.insert(0, step)
        step *= size
    return strides


def _count(sizes: list[int] | tuple[int, ...]) -> int:
    return _row_major((1, *sizes))[0] if 0 not in sizes else 0
