"""Views of another shape: neighbouring axes are merged into products, products are split."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod

from engine.symmetry.axes import ONE, Expression
from engine.symmetry.rules.folded import are_merged, blocks
from engine.symmetry.rules.lookahead import boundaries
from engine.symmetry.rules.registry import (
    Apart,
    Axes,
    Call,
    Folded,
    NoRuleError,
    Shape,
    Value,
    replaced,
    rule,
)
from engine.symmetry.scattered import may_scatter
from engine.symmetry.unify import NO_REFINEMENT, NoRefinementError

SHUFFLE = "moves units by their place"


@rule(
    *("view", "reshape", "_unsafe_view", "flatten", "unflatten", "unsqueeze", "squeeze", "ravel"),
    *("view_copy", "_reshape_alias", "reshape_as", "view_as", "unsqueeze_copy", "squeeze_copy"),
    *("atleast_1d", "atleast_2d"),
)
def regroup(call: Call) -> Value:
    """Merge neighbouring axes into products and split products, row-major."""
    if "dtype" in call.arguments:
        raise NoRuleError  # a bit cast
    x = call.axes("self")
    return (
        _taken_apart(call, x, call.shape)
        or _laid_out(call, x, call.shape)
        or regrouped(call, x, call.shape)
    )


def regrouped(call: Call, axes: Axes, shape: Shape) -> Axes:
    """Return the axes of a row-major view of another shape."""
    if 0 in shape:
        raise NoRuleError
    result: list[Expression] = [ONE] * len(shape)
    for sources, targets in blocks([axis.size for axis in axes], shape):
        divided = _divided(call, [axes[i] for i in sources], [shape[j] for j in targets])
        for target, axis in zip(targets, divided, strict=True):
            result[target] = axis
    return tuple(result)


def _divided(call: Call, block: Sequence[Expression], sizes: Sequence[int]) -> list[Expression]:
    algebra = call.algebra
    whole = algebra.product([algebra.resolve(axis) for axis in block])
    result: list[Expression] = []
    try:
        for size in reversed(sizes[1:]):
            whole, inner = algebra.split(whole, size)
            result.insert(0, inner)
    except NoRefinementError:
        for axis in block:
            algebra.fix(axis, NO_REFINEMENT)
        return [algebra.fixed(size, NO_REFINEMENT) for size in sizes]
    return [whole, *result]


def _laid_out(call: Call, x: Axes, shape: Shape) -> Folded | None:
    """Return the view as one axis laid out along dimensions that are merged again, if it is."""
    for sources, targets in blocks([axis.size for axis in x], shape):
        if len(sources) > 1 or len(targets) < 2 or not are_merged(call.node, targets):
            continue
        whole = x[sources[0]]
        if may_scatter(call.algebra, whole):
            stand_in = call.fixed((whole.size,), SHUFFLE)
            axes = regrouped(call, replaced(x, sources[0], *stand_in), shape)
            return Folded(axes, tuple(targets), call.algebra.resolve(whole))
    return None


def _taken_apart(call: Call, x: Axes, shape: Shape) -> Apart | None:
    """Return the view as stretches of a dimension that is divided later, if there is one.

    The stretches are cut out of the old axes first and viewed one by one: what stands inside
    the dimension need not permute alike in all of them.
    """
    for dim in range(len(shape)):
        cuts = boundaries(call.node, dim)
        if not cuts:
            continue
        own = blocks([axis.size for axis in x], shape)
        inside = next(([j for j in new if j > dim] for _, new in own if dim in new), [])
        if not inside:
            continue
        each = prod(shape[j] for j in inside)
        merged = [1 if j in inside else size for j, size in enumerate(shape)]
        merged[dim] *= each
        whole = regrouped(call, x, tuple(merged))
        if call.algebra.is_fixed(call.algebra.resolve(whole[dim])):
            return None
        parts = []
        for start, stop in pairwise((0, *sorted(cuts), shape[dim])):
            stretch = call.algebra.segment(whole[dim], start * each, stop * each)
            part = (*whole[:dim], stretch, *whole[dim + 1 :])
            parts.append(regrouped(call, part, (*shape[:dim], stop - start, *shape[dim + 1 :])))
        return Apart(dim, tuple(parts))
    return None
