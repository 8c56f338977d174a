"""Ops that multiply and sum: the two contracted axes are unified and disappear."""

from __future__ import annotations

from engine.symmetry.axes import Expression
from engine.symmetry.rules.registry import Axes, Call, NoRuleError, Value, rule

KERNEL = "weighs positions under its kernel"


@rule("linear")
def linear(call: Call) -> Value:
    """x[…, i] W[o, i] + b[o]."""
    x, weight, bias = call.axes("input"), call.axes("weight"), call.optional("bias")
    if len(weight) != 2:
        raise NoRuleError
    call.unify(x[-1], weight[1])
    call.unify(weight[0], bias[0] if bias else None)
    call.produce("weight", weight[0])
    return (*x[:-1], weight[0])


@rule("matmul", "mm", "bmm", "mv", "dot", "vdot")
def matmul(call: Call) -> Value:
    """The last axis of the first operand meets the last but one of the second."""
    other = next(n for n in ("other", "mat2", "vec", "tensor") if n in call.arguments)
    left, right = call.axes("self"), call.axes(other)
    if len(right) > 1:
        call.produce(other, right[-1])
    return _matrix_product(call, left, right)


@rule("addmm", "baddbmm", "addmv")
def addmm(call: Call) -> Value:
    """bias + first @ second."""
    first, second = ("mat1", "mat2") if "mat1" in call.arguments else ("batch1", "batch2")
    if "vec" in call.arguments:
        first, second = "mat", "vec"
    right = call.axes(second)
    product = _matrix_product(call, call.axes(first), right)
    call.produce(second, right[-1])
    return call.broadcast([call.axes("self"), product], call.shape)


def _matrix_product(call: Call, left: Axes, right: Axes) -> Axes:
    call.unify(left[-1], right[max(-2, -len(right))])
    batch = (left[:-2], right[:-2])
    outside = max(map(len, batch))
    result = call.broadcast(batch, call.shape[:outside])
    return (*result, *left[-2:-1], *(right[-1:] if len(right) > 1 else ()))


@rule("outer", "ger")
def outer(call: Call) -> Value:
    """x[i] y[j]."""
    other = "vec2"
    return (*call.axes("self"), *call.axes(other))


@rule("einsum")
def einsum(call: Call) -> Value:
    """Axes with one letter are one axis; letters that the result lacks are summed."""
    operands = call.many("tensors")
    terms, output = _einsum_terms(str(call.arguments["equation"]), [len(axes) for axes in operands])
    known: dict[str, Expression] = {}
    for term, axes in zip(terms, operands, strict=True):
        for letter, axis in zip(term, axes, strict=True):
            if known.setdefault(letter, axis).size == 1:
                known[letter] = axis
            elif axis.size != 1:
                call.unify(known[letter], axis)
    return tuple(known[letter] for letter in output)


def _einsum_terms(equation: str, ranks: list[int]) -> tuple[list[str], str]:
    """Return the letters of every operand and of the result, with dots spelled out.

    The axes under the dots get letters of their own, aligned from the right.
    """
    inputs, arrow, output = equation.replace(" ", "").partition("->")
    terms = inputs.split(",")
    if not arrow:
        letters = inputs.replace(",", "").replace(".", "")
        once = sorted(letter for letter in set(letters) if letters.count(letter) == 1)
        output = ("..." if "..." in inputs else "") + "".join(once)
    counts = [rank - len(term.replace("...", "")) for term, rank in zip(terms, ranks, strict=True)]
    dots = "".join(map(str, range(9, -1, -1)))[-max(counts) :] if max(counts) else ""
    spelled = [
        term.replace("...", dots[len(dots) - count :])
        for term, count in zip(terms, counts, strict=True)
    ]
    return spelled, output.replace("...", dots)


@rule("conv1d", "conv2d", "conv3d", "convolution", "_convolution")
def convolution(call: Call) -> Value:
    """Channels are contracted within each group; kernel and positions are fixed."""
    if call.arguments.get("transposed"):
        return transposed_convolution(call)
    if parts := call.stacked("weight"):
        return _convolutions(call, parts)
    x, weight, bias = call.axes("input"), call.axes("weight"), call.optional("bias")
    rank, groups = len(weight) - 2, call.integer("groups", 1)
    channels = x[-rank - 1]
    call.algebra.grouped |= 1 < groups < channels.size
    out_group, _ = _grouped(call, weight[0], groups)
    in_group, inside = _grouped(call, channels, groups)
    call.unify(out_group, in_group)
    call.unify(inside, weight[1])
    call.unify(weight[0], bias[0] if bias else None)
    call.produce("weight", weight[0])
    return (*x[: -rank - 1], weight[0], *_positions(call, x[-rank:], weight[2:]))


def _convolutions(call: Call, parts: tuple[Axes, ...]) -> Value:
    """Return the outputs of a convolution in groups: of one on each stretch of the channels."""
    x, bias, algebra = call.axes("input"), call.optional("bias"), call.algebra
    rank = len(parts[0]) - 2
    channels = x[-rank - 1]
    each = channels.size // len(parts)
    for number, part in enumerate(parts):
        call.unify(algebra.segment(channels, number * each, (number + 1) * each), part[1])
        call.fix(part[2:], KERNEL)
    out = algebra.concat([algebra.resolve(part[0]) for part in parts])
    call.unify(out, bias[0] if bias else None)
    call.produce("weight", out)
    return (*x[: -rank - 1], out, *_positions(call, x[-rank:], parts[0][2:]))


@rule("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
def transposed_convolution(call: Call) -> Value:
    """Like a convolution, with the weight's channel axes in the other order."""
    x, weight, bias = call.axes("input"), call.axes("weight"), call.optional("bias")
    rank, groups = len(weight) - 2, call.integer("groups", 1)
    in_group, in_inside = _grouped(call, x[-rank - 1], groups)
    weight_group, weight_inside = _grouped(call, weight[0], groups)
    call.unify(in_group, weight_group)
    call.unify(in_inside, weight_inside)
    algebra = call.algebra
    out = algebra.product([algebra.resolve(in_group), algebra.resolve(weight[1])])
    call.unify(out, bias[0] if bias else None)
    call.produce("weight", weight[1])
    call.fix((*x[-rank:], *weight[2:]), KERNEL)
    return (*x[: -rank - 1], out, *call.fixed(call.shape[-rank:], KERNEL))


def _grouped(call: Call, axis: Expression, groups: int) -> tuple[Expression, Expression]:
    return call.split(axis, axis.size // groups)


def _positions(call: Call, spatial: Axes, kernel: Axes) -> Axes:
    """Return the output's positions; a kernel of one with stride one leaves them alone."""
    call.fix(kernel, KERNEL)
    result = []
    for index, (axis, size) in enumerate(zip(spatial, kernel, strict=True)):
        if size.size == 1 and _at(call, "stride", index, 1) == 1 and not _padded(call, index):
            result.append(axis)
            continue
        call.fix((axis,), KERNEL)
        result += call.fixed((call.shape[index - len(spatial)],), KERNEL)
    return tuple(result)


def _padded(call: Call, index: int) -> bool:
    if isinstance(call.arguments.get("padding"), str):
        return False  # "same" and "valid" add nothing to a kernel of one
    return _at(call, "padding", index, 0) != 0


def _at(call: Call, name: str, index: int, default: int) -> int:
    values = call.integers(name) or (default,)
    return values[min(index, len(values) - 1)]


@rule("embedding")
def embedding(call: Call) -> Value:
    """Rows are looked up by number: the vocabulary is fixed."""
    weight = call.axes("weight")
    call.fix(weight[:1], "looks rows up by their number")
    call.produce("weight", weight[1])
    return (*call.axes("indices"), weight[1])
