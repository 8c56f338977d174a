"""Views: products are merged and split, dimensions reordered, repeated, made."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from engine.symmetry.axes import ONE, Expression
from engine.symmetry.rules.registry import (
    Axes,
    Call,
    NoRuleError,
    Shape,
    Value,
    dimension,
    rule,
)
from engine.symmetry.unify import NO_REFINEMENT, NoRefinementError

PLACE = "moves positions by their place"


@rule(
    *("view", "reshape", "_unsafe_view", "flatten", "unflatten", "unsqueeze", "squeeze", "ravel"),
    *("view_copy", "_reshape_alias", "reshape_as", "view_as", "unsqueeze_copy", "squeeze_copy"),
)
def regroup(call: Call) -> Value:
    """Merge neighbouring axes into products and split products, row-major."""
    if "dtype" in call.arguments:
        raise NoRuleError  # a bit cast
    return regrouped(call, call.axes("self"), call.shape)


def regrouped(call: Call, axes: Axes, shape: Shape) -> Axes:
    """Return the axes of a row-major view of another shape."""
    if 0 in shape:
        raise NoRuleError
    sources = [axis for axis in axes if axis.size != 1]
    result: list[Expression] = []
    wanted = [size for size in shape if size != 1]
    while wanted:
        block, sizes = [sources.pop(0)], [wanted.pop(0)]
        while (have := prod(axis.size for axis in block)) != (want := prod(sizes)):
            if have < want:
                block.append(sources.pop(0))
            else:
                sizes.append(wanted.pop(0))
        result += _divided(call, block, sizes)
    axes_left = iter(result)
    return tuple(ONE if size == 1 else next(axes_left) for size in shape)


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


@rule("permute", "permute_copy")
def permute(call: Call) -> Value:
    """Dimensions in another order."""
    x = call.axes("self")
    return tuple(x[index] for index in call.integers("dims"))


@rule("transpose", "swapaxes", "swapdims", "transpose_copy")
def transpose(call: Call) -> Value:
    """Two dimensions exchanged."""
    x = list(call.axes("self"))
    names = ("dim0", "dim1") if "dim0" in call.arguments else ("axis0", "axis1")
    i, j = (call.integer(name) for name in names)
    x[i], x[j] = x[j], x[i]
    return tuple(x)


@rule("t", "numpy_T", "mT", "mH", "adjoint", "matrix_H", "t_copy")
def reverse(call: Call) -> Value:
    """The last two dimensions exchanged; for `.T`, all of them reversed."""
    x = call.axes("self")
    if call.op == "numpy_T":
        return tuple(reversed(x))
    return (*x[:-2], *reversed(x[-2:]))


@rule("movedim", "moveaxis")
def movedim(call: Call) -> Value:
    """Some dimensions moved to named places, the others in order."""
    x = call.axes("self")
    sources = [dimension(index, len(x)) for index in call.integers("source")]
    targets = [dimension(index, len(x)) for index in call.integers("destination")]
    rest = iter(index for index in range(len(x)) if index not in sources)
    moved = dict(zip(targets, sources, strict=True))
    return tuple(x[moved[i] if i in moved else next(rest)] for i in range(len(x)))


@rule("expand", "expand_as", "broadcast_to", "expand_copy")
def expand(call: Call) -> Value:
    """A stretched dimension is constant along its new axis."""
    return call.broadcast([call.axes("self")], call.shape)


@rule("repeat", "tile")
def repeat(call: Call) -> Value:
    """Copies one after the other: the copy is the outer factor, and any order will do."""
    x, algebra = call.axes("self"), call.algebra
    x = (*[ONE] * (len(call.shape) - len(x)), *x)
    return tuple(
        algebra.product([algebra.free(size // axis.size), algebra.resolve(axis)])
        for axis, size in zip(x, call.shape, strict=True)
    )


@rule("repeat_interleave.self_int")
def repeat_interleave(call: Call) -> Value:
    """Each unit several times in a row: the copy is the inner factor."""
    x, algebra = list(call.axes("self")), call.algebra
    index = call.integer("dim")
    copies = algebra.free(call.integer("repeats"))
    x[index] = algebra.product([algebra.resolve(x[index]), copies])
    return tuple(x)


@rule(
    *("zeros", "ones", "full", "zeros_like", "ones_like", "full_like", "new_zeros", "new_ones"),
    *("new_full", "scalar_tensor", "empty", "empty_like", "new_empty", "empty_strided", "zero"),
    *("empty_permuted", "new_empty_strided", "_efficientzerotensor"),
)
def constant(call: Call) -> Value:
    """One value everywhere, or none yet: any order will do."""
    return call.free(call.shape)


@rule("arange", "linspace", "logspace", "range", "tril_indices", "triu_indices", "fft_fftfreq")
def numbered(call: Call) -> Value:
    """Values that differ by place."""
    return call.fixed(call.shape, "numbers places")


@rule("eye")
def identity_matrix(call: Call) -> Value:
    """The same whenever rows and columns are permuted alike."""
    rows, columns = call.shape
    return call.free([rows]) * 2 if rows == columns else call.fixed(call.shape, "numbers places")


@rule("meshgrid")
def meshgrid(call: Call) -> Value:
    """Each tensor stretched along the axes of all others."""
    axes = tuple(own[0] if own else ONE for own in call.many("tensors"))
    if call.arguments.get("indexing") == "xy":
        axes = (*reversed(axes[:2]), *axes[2:])
    return [axes] * len(call.shapes)


@rule("broadcast_tensors")
def broadcast_tensors(call: Call) -> Value:
    """All stretched to one shape: an axis that is stretched is constant along its new one."""
    return [
        call.broadcast([axes], shape)
        for axes, shape in zip(call.many("tensors"), call.shapes, strict=True)
    ]


@rule("atleast_1d", "atleast_2d")
def at_least(call: Call) -> Value:
    """New axes of length 1 in front."""
    return regrouped(call, call.axes("self"), call.shape)


@rule("pixel_shuffle")
def pixel_shuffle(call: Call) -> Value:
    """(C · r²) channels become C channels of r × r times as many positions."""
    x = call.axes("self")
    factor = call.integer("upscale_factor")
    channels, inner = call.split(x[-3], factor**2)
    call.fix((inner, *x[-2:]), PLACE)
    return (*x[:-3], channels, *call.fixed(call.shape[-2:], PLACE))


@rule("pixel_unshuffle", "im2col")
def gather_positions(call: Call) -> Value:
    """Every channel becomes one channel per position of a block: (C, position)."""
    x, algebra = call.axes("self"), call.algebra
    trailing = 2 if call.op == "pixel_unshuffle" else 1
    channels = algebra.resolve(x[-3])
    call.fix(x[-2:], PLACE)
    size = call.shape[-trailing - 1] // channels.size
    outside = algebra.product([channels, *call.fixed((size,), PLACE)])
    return (*x[:-3], outside, *call.fixed(call.shape[-trailing:], PLACE))


@rule("channel_shuffle", "native_channel_shuffle")
def channel_shuffle(call: Call) -> Value:
    """Channels (group, inner) become (inner, group)."""
    x, algebra = call.axes("self"), call.algebra
    group, inner = call.split(x[1], x[1].size // call.integer("groups"))
    return (x[0], algebra.product([inner, algebra.resolve(group)]), *x[2:])


@rule("col2im")
def scatter_positions(call: Call) -> Value:
    """(C · block) channels are added up at their positions: C channels."""
    x = call.axes("input" if "input" in call.arguments else "self")
    channels, inner = call.split(x[-2], x[-2].size // call.shape[-3])
    call.fix((inner, x[-1]), PLACE)
    return (*x[:-2], channels, *call.fixed(call.shape[-2:], PLACE))


@rule("view_as_real")
def view_as_real(call: Call) -> Value:
    """A new last dimension numbers the real and the imaginary part."""
    return (*call.axes("self"), *call.fixed((2,), PLACE))


@rule("view_as_complex")
def view_as_complex(call: Call) -> Value:
    """The last dimension, which numbers the real and the imaginary part, disappears."""
    x = call.axes("self")
    call.fix(x[-1:], PLACE)
    return x[:-1]
