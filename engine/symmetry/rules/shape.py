"""Views: products are merged and split, dimensions reordered, repeated, made."""

from __future__ import annotations

from engine.symmetry.axes import ONE
from engine.symmetry.rules.registry import (
    Call,
    Value,
    dimension,
    rule,
)
from engine.symmetry.scattered import may_scatter, taken

PLACE = "moves positions by their place"


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
        algebra.product([algebra.unvarying(size // axis.size), algebra.resolve(axis)])
        for axis, size in zip(x, call.shape, strict=True)
    )


@rule("repeat_interleave.self_int")
def repeat_interleave(call: Call) -> Value:
    """Each unit several times in a row: the copy is the inner factor."""
    x, algebra = list(call.axes("self")), call.algebra
    index = call.integer("dim")
    copies = algebra.unvarying(call.integer("repeats"))
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
    x, algebra, groups = call.axes("self"), call.algebra, call.integer("groups")
    if may_scatter(algebra, x[1]):
        numbers = range(x[1].size)
        inside = x[1].size // groups
        order = [number for first in numbers[:inside] for number in numbers[first::inside]]
        return (x[0], taken(algebra, x[1], order), *x[2:])
    group, inner = call.split(x[1], x[1].size // groups)
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
