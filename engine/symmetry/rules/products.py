"""Further ops that multiply and sum: similarities, distances, bilinear forms, grouped products."""

from __future__ import annotations

from engine.symmetry.axes import ONE
from engine.symmetry.rules.registry import Axes, Call, NoRuleError, Value, dimension, replaced, rule

EXPERTS = "numbers experts"


@rule("cosine_similarity")
def cosine_similarity(call: Call) -> Value:
    """Contracts one axis of two tensors that broadcast."""
    first, second = call.axes("x1"), call.axes("x2")
    rank = max(len(first), len(second))
    sizes = [1] * rank
    for axes in (first, second):
        for offset, axis in enumerate(reversed(axes), start=1):
            sizes[-offset] = max(sizes[-offset], axis.size)
    both = call.broadcast([first, second], tuple(sizes))
    return replaced(both, dimension(call.integer("dim", 1), rank))


@rule("pairwise_distance")
def pairwise_distance(call: Call) -> Value:
    """The norm of a difference over the last axis."""
    first, second = call.axes("x1"), call.axes("x2")
    kept = bool(call.arguments.get("keepdim"))
    outside = call.shape[:-1] if kept else call.shape
    longer = max(first[-1], second[-1], key=lambda axis: axis.size)
    both = call.broadcast([first, second], (*outside, longer.size))
    return (*both[:-1], ONE) if kept else both[:-1]


@rule("cdist", "_cdist_forward", "_euclidean_dist")
def cdist(call: Call) -> Value:
    """Distances between all rows of two tensors: (…, rows, rows)."""
    first, second = call.axes("x1"), call.axes("x2")
    call.unify(first[-1], second[-1])
    batch = call.broadcast([first[:-2], second[:-2]], call.shape[:-2])
    return (*batch, first[-2], second[-2])


@rule("bilinear")
def bilinear(call: Call) -> Value:
    """x[…, i] W[o, i, j] y[…, j] + b[o]."""
    first, second, weight = call.axes("input1"), call.axes("input2"), call.axes("weight")
    bias = call.optional("bias")
    call.unify(first[-1], weight[1])
    call.unify(second[-1], weight[2])
    call.unify(weight[0], bias[0] if bias else None)
    for left, right in zip(first[:-1], second[:-1], strict=True):
        call.unify(left, right)
    call.produce("weight", weight[0])
    return (*first[:-1], weight[0])


@rule("tensordot")
def tensordot(call: Call) -> Value:
    """Named axes of two tensors are contracted, pair by pair."""
    first, second = call.axes("self"), call.axes("other")
    left = [dimension(i, len(first)) for i in call.integers("dims_self")]
    right = [dimension(i, len(second)) for i in call.integers("dims_other")]
    for i, j in zip(left, right, strict=True):
        call.unify(first[i], second[j])
    kept = [axis for i, axis in enumerate(first) if i not in left]
    return (*kept, *(axis for j, axis in enumerate(second) if j not in right))


@rule("inner")
def inner(call: Call) -> Value:
    """The last axes are contracted, all others stand side by side."""
    first, second = call.axes("self"), call.axes("other")
    if not first or not second:
        raise NoRuleError
    call.unify(first[-1], second[-1])
    return (*first[:-1], *second[:-1])


@rule("linalg_vecdot")
def vecdot(call: Call) -> Value:
    """One axis of two tensors of one shape is contracted."""
    first, second = call.axes("x"), call.axes("y")
    at = dimension(call.integer("dim", -1), len(first))
    both = call.broadcast([first, second], tuple(axis.size for axis in first))
    return replaced(both, at)


@rule("addr")
def addr(call: Call) -> Value:
    """self + vec1 ⊗ vec2."""
    return call.broadcast([call.axes("self"), (*call.axes("vec1"), *call.axes("vec2"))], call.shape)


@rule("_grouped_mm", "transformers.grouped_mm_fallback")
def grouped_product(call: Call) -> Value:
    """Rows in order of their expert, each times its expert's matrix: [r, i] [e, i, o].

    The rows of the result tell their expert (`told.py`).
    """
    names = ("self", "mat2", "offs") if "mat2" in call.arguments else ("input", "weight", "offs")
    rows, weight, ends = (call.axes(name) for name in names)
    if len(rows) != 2 or len(weight) != 3:
        raise NoRuleError
    call.unify(rows[1], weight[1])
    call.hold((rows[0], weight[0], *ends), EXPERTS)
    call.produce(names[1], weight[2])
    (told,) = call.fixed((rows[0].size,), EXPERTS)
    call.unify(told, rows[0])
    experts = call.algebra.resolve(weight[0])
    call.unify(call.algebra.told.enter(told, experts, call.arguments[names[2]]), experts)
    return (told, weight[2])


@rule("trace")
def trace(call: Call) -> Value:
    """The sum over the diagonal: both axes go together."""
    x: Axes = call.axes("self")
    call.unify(x[0], x[1])
    return ()


@rule("diagonal", "linalg_diagonal", "diagonal_copy")
def diagonal(call: Call) -> Value:
    """Two axes become one that comes last; off the main diagonal places count."""
    x = call.axes("self" if "self" in call.arguments else "A")
    default = (-2, -1) if call.op == "linalg_diagonal" else (0, 1)
    i, j = (
        dimension(call.integer(name, value), len(x))
        for name, value in zip(("dim1", "dim2"), default, strict=True)
    )
    kept = [axis for index, axis in enumerate(x) if index not in (i, j)]
    if x[i].size == x[j].size and call.integer("offset", 0) == 0:
        call.unify(x[i], x[j])
        return (*kept, x[i])
    call.fix((x[i], x[j]), "pairs places")
    return (*kept, *call.fixed(call.shape[-1:], "pairs places"))


@rule("diag_embed")
def diag_embed(call: Call) -> Value:
    """The last axis becomes two that go together."""
    x = call.axes("self")
    rank = len(x) + 1
    i, j = (dimension(call.integer(name, d), rank) for name, d in (("dim1", -2), ("dim2", -1)))
    if call.integer("offset", 0):
        raise NoRuleError
    rest = iter(x[:-1])
    return tuple(x[-1] if index in (i, j) else next(rest) for index in range(rank))
