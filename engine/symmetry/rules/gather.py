"""Ops that read or write elements by their number: the numbered axis is fixed, the others pass.

The numbers may themselves lie along free axes: whatever permutes those permutes the result.
"""

from __future__ import annotations

from engine.symmetry.axes import ONE
from engine.symmetry.rules.registry import (
    Axes,
    Call,
    NoRuleError,
    Value,
    dimension,
    replaced,
    rule,
)

CHOICE = "picks places by their number"
WRITES = "writes places by their number"
MASKS = ("torch.bool", "torch.uint8")
"""What an index may be that picks as many units as the data say."""


@rule("index_select")
def index_select(call: Call) -> Value:
    """Units of one dimension by number: that dimension is fixed."""
    x, chosen = call.axes("self"), call.axes("index")
    index = dimension(call.integer("dim"), len(x))
    call.fix((x[index],), CHOICE)
    return replaced(x, index, *(chosen or (ONE,)))


@rule("index", "_unsafe_index")
def index(call: Call) -> Value:
    """Dimensions with an index are fixed; the indices' own axes take their place."""
    x, (chosen, operands, masked) = call.axes("self"), _indices(call)
    if masked:
        raise NoRuleError
    call.fix((x[i] for i in chosen), CHOICE)
    first = _first(chosen)
    rank = max(map(len, operands))
    new = call.broadcast(operands, call.shape[first : first + rank])
    kept = [axis for i, axis in enumerate(x) if i not in chosen]
    return (*kept[:first], *new, *kept[first:])


def _indices(call: Call) -> tuple[list[int], list[Axes], bool]:
    """Return the dimensions that have an index, the indices' axes, and whether one is a mask."""
    indices = call.arguments["indices"]
    assert isinstance(indices, list | tuple)
    chosen = [i for i, tensor in enumerate(indices) if tensor is not None]
    operands, masked = [], False
    for i in chosen:
        axes = call.values.get(indices[i])
        if not isinstance(axes, tuple):
            raise NoRuleError
        operands.append(axes)
        masked = masked or str(indices[i].meta["val"].dtype) in MASKS
    if not chosen:
        raise NoRuleError
    return chosen, operands, masked


def _first(chosen: list[int]) -> int:
    """Return where the indices' axes stand: in place if neighbours are indexed, else in front."""
    adjacent = chosen == list(range(chosen[0], chosen[-1] + 1))
    return chosen[0] if adjacent else 0


@rule("gather", "take_along_dim")
def gather(call: Call) -> Value:
    """out[…, i, …] = x[…, index[…, i, …], …]: all axes but the numbered one go together."""
    if call.arguments.get("dim") is None:
        raise NoRuleError  # numbers into the flattened tensor
    x, index = call.axes("self"), call.axes("index" if "index" in call.arguments else "indices")
    if len(x) != len(index):
        raise NoRuleError
    at = dimension(call.integer("dim"), len(x))
    call.fix((x[at],), CHOICE)
    if call.op == "take_along_dim":
        outside = call.broadcast([replaced(x, at, ONE), replaced(index, at, ONE)],
                                 replaced_size(call.shape, at))  # fmt: skip
        return replaced(outside, at, index[at])
    for position, (own, other) in enumerate(zip(x, index, strict=True)):
        if position != at:
            call.unify(call.algebra.segment(own, 0, other.size), other)
    return index


def replaced_size(shape: tuple[int, ...], at: int) -> tuple[int, ...]:
    """Return a shape in which one dimension has size 1."""
    return (*shape[:at], 1, *shape[at + 1 :])


@rule("scatter", "scatter_add", "scatter_reduce")
def scatter(call: Call) -> Value:
    """out[…, index[…, i, …], …] = src[…, i, …]: the numbered axis is fixed, the others go together.

    Where several elements meet in one place, which of them stays depends on their order: the
    axis of the index is fixed as well, except where they are summed.
    """
    x, index = call.axes("self"), call.axes("index")
    at = dimension(call.integer("dim"), len(x))
    source = call.optional("src") if "src" in call.arguments else None
    call.fix((x[at],), WRITES)
    if call.op != "scatter_add":
        call.fix((index[at],), WRITES)
    for position, own in enumerate(x):
        if source is not None:
            stretch = call.algebra.segment(source[position], 0, index[position].size)
            call.unify(stretch, index[position])
        if position != at:
            call.unify(call.algebra.segment(own, 0, index[position].size), index[position])
    return x


@rule("index_add", "index_copy", "index_fill")
def index_along(call: Call) -> Value:
    """Slices along one axis are written by number."""
    x, index = call.axes("self"), call.axes("index")
    at = dimension(call.integer("dim"), len(x))
    call.fix((x[at], *index), WRITES)
    source = call.optional("source") if "source" in call.arguments else None
    for position, (own, other) in enumerate(zip(x, source or (), strict=False)):
        call.unify(index[0] if index and position == at else own, other)
    return x


@rule("index_put", "_unsafe_index_put", "_index_put_impl")
def index_put(call: Call) -> Value:
    """Elements are written by number, or one value where a mask says so."""
    x, values = call.axes("self"), call.axes("values")
    chosen, operands, masked = _indices(call)
    if masked:
        (mask,) = operands
        if any(axis.size != 1 for axis in values):
            raise NoRuleError  # the values are counted off in the mask's order
        for own, other in zip(x[chosen[0] :], mask, strict=False):
            call.unify(own, other)
        return x
    call.fix((x[i] for i in chosen), WRITES)
    new = call.broadcast(operands, _broadcast_shape(operands))
    call.fix(new, WRITES)
    kept, first = [axis for i, axis in enumerate(x) if i not in chosen], _first(chosen)
    written = (*kept[:first], *new, *kept[first:])
    call.broadcast([written, values], tuple(axis.size for axis in written))
    return x


def _broadcast_shape(operands: list[Axes]) -> tuple[int, ...]:
    rank = max(map(len, operands))
    padded = [(*[ONE] * (rank - len(axes)), *axes) for axes in operands]
    return tuple(max(axis.size for axis in meeting) for meeting in zip(*padded, strict=True))


@rule("one_hot")
def one_hot(call: Call) -> Value:
    """A new last axis numbers the classes."""
    return (*call.axes("self"), *call.fixed(call.shape[-1:], "numbers places"))


@rule("bucketize")
def bucketize(call: Call) -> Value:
    """Every element by itself; the boundaries are in order."""
    call.fix(call.axes("boundaries"), "looks places up in their order")
    return call.axes("self")


@rule("histc")
def histogram(call: Call) -> Value:
    """Counts of all elements, whatever their order, in bins that have one."""
    return call.fixed(call.shape, "numbers bins")


@rule("embedding_bag", "_embedding_bag", "_embedding_bag_forward_only")
def embedding_bag(call: Call) -> Value:
    """Rows looked up by number and summed, averaged or compared per bag."""
    weight = call.axes("weight")
    given = [weight[:1], call.axes("indices"), call.axes("offsets")]
    scale = call.optional("per_sample_weights")
    call.fix((axis for axes in (*given, scale or ()) for axis in axes), CHOICE)
    call.produce("weight", weight[1])
    rows = call.fixed(call.shapes[0][:1], CHOICE)
    return [(*rows, weight[1]), *(call.fixed(shape, CHOICE) for shape in call.shapes[1:])]


@rule("max_unpool2d", "max_unpool3d")
def unpool(call: Call) -> Value:
    """Every channel by itself; positions are fixed."""
    x, index = call.axes("self"), call.axes("indices")
    rank = 2 if call.op == "max_unpool2d" else 3
    for own, other in zip(x, index, strict=True):
        call.unify(own, other)
    call.fix(x[-rank:], CHOICE)
    return (*x[:-rank], *call.fixed(call.shape[-rank:], CHOICE))


@rule("grid_sampler", "grid_sampler_2d", "grid_sampler_3d")
def grid_sampler(call: Call) -> Value:
    """Positions are read at given coordinates, in every channel alike."""
    x, grid = call.axes("input"), call.axes("grid")
    call.unify(x[0], grid[0])
    call.fix((*x[2:], grid[-1]), CHOICE)
    return (*x[:2], *grid[1:-1])


@rule("affine_grid_generator")
def affine_grid(call: Call) -> Value:
    """Coordinates from one small matrix per sample."""
    theta = call.axes("theta")
    call.fix(theta[1:], CHOICE)
    return (theta[0], *call.fixed(call.shape[1:], CHOICE))
