"""What each op runs through on its way, for `nesting.py`.

Three kinds of ops are known. Most take each element of an output from elements that stand at
the same indices of the inputs, or sum over some axes of one input: then the axes of inputs and
outputs say everything. Views take axes apart. Ops that multiply and sum, or normalise, run
through axes that no single tensor has: the functions here return those. An op that stands in
none of the lists is not known; its rule may be sound and still mix an inner atom across an
outer one, so nothing that it touches is nested. The lists are about what ATen's ops do, not
about what the rules say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod

from torch import fx

from engine.symmetry.axes import Concat, Expression, Product
from engine.symmetry.nesting import Contact, Space
from engine.symmetry.rules import Axes, Call, NoRuleError, Rule, Value, tensors_of
from engine.symmetry.rules.pointwise import pointwise
from engine.symmetry.rules.registry import dimension

Spaces = Callable[[Call, Axes], Iterator[Axes]]
"""From a call and its first output to the axes that it runs through besides its tensors'."""

VIEWS = frozenset(
    (
        *("view", "reshape", "_unsafe_view", "flatten", "unflatten", "unsqueeze", "squeeze"),
        *("ravel", "view_copy", "_reshape_alias", "reshape_as", "view_as", "unsqueeze_copy"),
        *("squeeze_copy", "pixel_shuffle", "pixel_unshuffle", "im2col", "channel_shuffle"),
        *("native_channel_shuffle", "view_as_real", "view_as_complex", "atleast_1d"),
        *("atleast_2d", "unfold", "unfold_copy", "col2im"),
    )
)

ELEMENTWISE = frozenset(
    (
        # element by element, or copies of tensors
        *("copy", "clone", "contiguous", "to", "_to_copy", "alias", "detach", "lift_fresh"),
        *("lift_fresh_copy", "type_as", "float", "double", "half", "cpu", "dropout", "prelu"),
        *("feature_dropout", "alpha_dropout", "feature_alpha_dropout", "native_dropout", "glu"),
        *("_conj", "resolve_conj", "resolve_neg", "batch_norm", "native_batch_norm"),
        *("_native_batch_norm_legit_no_training", "cudnn_batch_norm", "_batch_norm_no_update"),
        *("_native_batch_norm_legit", "_weight_norm", "_weight_norm_interface", "alias_copy"),
        *("norm_except_dim", "detach_copy", "_lazy_clone", "dropout_", "bucketize", "one_hot"),
        # whole axes exchanged, stretched, repeated, cut or joined
        *("permute", "permute_copy", "transpose", "swapaxes", "swapdims", "transpose_copy", "t"),
        *("numpy_T", "mT", "mH", "adjoint", "matrix_H", "t_copy", "movedim", "moveaxis"),
        *("expand", "expand_as", "broadcast_to", "expand_copy", "repeat", "tile"),
        *("repeat_interleave", "cat", "concat", "concatenate", "stack", "split", "chunk"),
        *("split_with_sizes", "tensor_split", "unsafe_split", "unsafe_chunk", "split_copy"),
        *("split_with_sizes_copy", "unsafe_split_with_sizes", "unbind", "unbind_copy", "slice"),
        *("slice_copy", "narrow", "narrow_copy", "select", "select_copy", "constant_pad_nd"),
        *("pad", "zeros", "ones", "full", "zeros_like", "ones_like", "full_like", "new_zeros"),
        *("new_ones", "new_full", "scalar_tensor", "arange", "linspace", "eye", "meshgrid"),
        *("broadcast_tensors", "empty", "empty_like", "new_empty", "zero", "addr", "outer", "ger"),
        # sums, extremes and orders along axes that disappear or are fixed
        *("mean", "sum", "amax", "amin", "prod", "var", "std", "logsumexp", "all", "any"),
        *("norm", "linalg_vector_norm", "nansum", "nanmean", "var_mean", "std_mean", "max"),
        *("count_nonzero", "min", "median", "nanmedian", "aminmax", "argmax", "argmin", "sort"),
        *("topk", "kthvalue", "mode", "cummax", "cummin", "cumsum", "cumprod", "logcumsumexp"),
        *("flip", "roll", "tril", "triu", "diff", "embedding", "embedding_bag"),
        *("index_select", "index", "_unsafe_index", "gather", "take_along_dim", "scatter"),
        *("scatter_add", "scatter_reduce", "index_add", "index_copy", "index_fill", "index_put"),
        *("_unsafe_index_put", "_index_put_impl"),
        # elements read and written by number along fixed axes, constants
        *("gather", "take_along_dim", "scatter", "scatter_add", "index_put", "slice_scatter"),
        *("select_scatter", "one_hot", "bucketize", "diff", "broadcast_tensors", "empty"),
        *("empty_like", "new_empty", "max_unpool2d", "max_unpool3d", "grid_sampler"),
        # positions in space, each channel by itself
        *("max_pool1d", "max_pool2d", "max_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d"),
        *("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d"),
        *("adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d"),
        *("_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "max_pool1d_with_indices"),
        *("max_pool2d_with_indices", "max_pool3d_with_indices", "upsample_nearest1d"),
        *("upsample_nearest2d", "upsample_nearest3d", "upsample_bilinear2d"),
        *("upsample_bicubic2d", "upsample_linear1d", "upsample_trilinear3d"),
        *("_upsample_nearest_exact2d", "_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa"),
        *("_upsample_nearest_exact1d", "_upsample_nearest_exact3d", "_upsample_lanczos2d_aa"),
        *("reflection_pad1d", "reflection_pad2d", "reflection_pad3d", "replication_pad1d"),
        *("replication_pad2d", "replication_pad3d", "max_unpool2d", "max_unpool3d"),
        *("grid_sampler", "grid_sampler_2d", "grid_sampler_3d"),
    )
)


def observe(call: Call, rule: Rule, value: Value) -> Iterator[Space | Contact]:
    """Yield what is to know of one call that its rule covers, for the search of nested atoms."""
    inputs = _inputs(call)
    outputs = [axes for axes in tensors_of(value) if axes]
    everything = tuple(axis for axes in (*inputs, *outputs) for axis in axes)
    if call.acted:
        yield Contact(tuple(call.acted), everything)
    is_view = call.op in VIEWS
    for axes in (*inputs, *outputs) if is_view else outputs:
        yield Space(axes, is_view)
    if call.op in RUNS:
        try:
            yield from [Space(axes) for axes in RUNS[call.op](call, outputs[0])]
        except (NoRuleError, LookupError, TypeError, ValueError):  # a form not thought of
            yield Contact(None, everything)
    elif not (is_view or call.op in ELEMENTWISE or rule is pointwise):
        yield Contact(None, everything)


def _inputs(call: Call) -> list[Axes]:
    """Return the axes of every tensor among the arguments, alone or in a list."""
    found: list[Axes] = []
    for argument in call.arguments.values():
        for item in argument if isinstance(argument, list | tuple) else (argument,):
            if isinstance(item, fx.Node):
                found += tensors_of(call.values.get(item))
    return found


# --- ops that multiply and sum ---------------------------------------------------------


def _linear(call: Call, output: Axes) -> Iterator[Axes]:
    yield (*call.axes("input"), output[-1])


def _product(call: Call, output: Axes) -> Iterator[Axes]:
    left = next(n for n in ("mat1", "batch1", "mat", "self") if n in call.arguments)
    yield (*output, call.axes(left)[-1])


def _similarity(call: Call, output: Axes) -> Iterator[Axes]:
    """Output and the axis over which two tensors of one rank are summed."""
    names = ("x1", "x2") if "x1" in call.arguments else ("x", "y")
    default = 1 if call.op == "cosine_similarity" else -1
    pair = [axes[call.integer("dim", default)] for axes in map(call.axes, names)]
    yield (*output, max(pair, key=lambda axis: axis.size))


def _tensordot(call: Call, output: Axes) -> Iterator[Axes]:
    first = call.axes("self")
    dims = call.integers("dims_self") if call.op == "tensordot" else (-1,)
    yield (*output, *(first[index] for index in dims))


def _grouped_product(call: Call, output: Axes) -> Iterator[Axes]:
    """Rows, outputs and the contracted axis; the expert is told by the row."""
    yield (*output, call.axes("self" if "mat2" in call.arguments else "input")[1])


def _bilinear(call: Call, output: Axes) -> Iterator[Axes]:
    yield (*output, call.axes("input1")[-1], call.axes("input2")[-1])


def _einsum(call: Call, output: Axes) -> Iterator[Axes]:
    """Every axis of every operand, once each: where a letter stands twice, so does its axis.

    An axis that stands twice counts twice, which only rules out more; the exception is made
    for letters that are spelled out.
    """
    equation = str(call.arguments["equation"]).replace(" ", "")
    operands = call.many("tensors")
    terms = equation.partition("->")[0].split(",")
    if "." in equation:
        yield tuple(axis for axes in operands for axis in axes)
        return
    letters: dict[str, Expression] = {}
    for term, axes in zip(terms, operands, strict=True):
        for letter, axis in zip(term, axes, strict=True):
            if letter not in letters or letters[letter].size == 1:
                letters[letter] = axis
    yield tuple(letters.values())


def _convolution(call: Call, output: Axes) -> Iterator[Axes]:
    x = call.axes("input")
    for part in call.stacked("weight"):
        rank = len(part) - 2
        yield (*x[: -rank - 1], *part, *x[-rank:], *output[-rank:])
    if call.stacked("weight"):
        return
    weight = call.axes("weight")
    rank = len(weight) - 2
    positions = (*x[-rank:], *output[-rank:])
    if call.arguments.get("transposed") or call.op.startswith("conv_transpose"):
        yield (*x[: -rank - 1], x[-rank - 1], weight[1], *weight[2:], *positions)
    else:
        yield (*x[: -rank - 1], *weight, *positions)


def _attention(call: Call, output: Axes) -> Iterator[Axes]:
    q, k = call.axes("query"), call.axes("key")
    batch = (*output[:-2], q[-2])
    yield (*batch, k[-2], q[-1])
    yield (*batch, k[-2])
    yield batch
    yield (*batch, k[-2], output[-1])


# --- ops that normalise ----------------------------------------------------------------


def _softmax(call: Call, output: Axes) -> Iterator[Axes]:
    index = dimension(call.integer("dim"), len(output))
    yield (*output[:index], *output[index + 1 :])


def _layer_norm(call: Call, output: Axes) -> Iterator[Axes]:
    yield output[: len(output) - len(call.integers("normalized_shape"))]


def _group_norm(call: Call, output: Axes) -> Iterator[Axes]:
    groups = call.integer("num_groups" if "num_groups" in call.arguments else "group")
    channels = call.algebra.resolve(output[1])
    yield (output[0], _outside(channels, channels.size // groups))


def _outside(axis: Expression, inner: int) -> Expression:
    """Return the outer factors of a resolved axis, those around `inner` units.

    Raises:
        LookupError: it is not divided there.
    """
    if isinstance(axis, Concat):
        return Concat(tuple(_outside(part, inner) for part in axis.parts))
    factors = axis.factors if isinstance(axis, Product) else (axis,)
    for count in range(len(factors) + 1):
        if prod(factor.size for factor in factors[count:]) == inner:
            return Product(factors[:count])
    raise LookupError


def _weight_norm(call: Call, _: Axes) -> Iterator[Axes]:
    yield call.axes("g")


def _instance_norm(_: Call, output: Axes) -> Iterator[Axes]:
    yield output[:2]


RUNS: dict[str, Spaces] = {
    "linear": _linear,
    **dict.fromkeys(("matmul", "mm", "bmm", "mv", "dot", "vdot"), _product),
    **dict.fromkeys(("addmm", "baddbmm", "addmv"), _product),
    **dict.fromkeys(("cosine_similarity", "linalg_vecdot"), _similarity),
    **dict.fromkeys(("pairwise_distance", "cdist"), _similarity),
    **dict.fromkeys(("tensordot", "inner"), _tensordot),
    **dict.fromkeys(("_grouped_mm", "transformers::grouped_mm_fallback"), _grouped_product),
    "bilinear": _bilinear,
    "einsum": _einsum,
    **dict.fromkeys(("conv1d", "conv2d", "conv3d", "convolution", "_convolution"), _convolution),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), _convolution),
    "scaled_dot_product_attention": _attention,
    **dict.fromkeys(("softmax", "_softmax", "log_softmax", "_log_softmax"), _softmax),
    **dict.fromkeys(("_safe_softmax", "softmin", "special_softmax"), _softmax),
    "special_log_softmax": _softmax,
    **dict.fromkeys(("layer_norm", "native_layer_norm", "rms_norm"), _layer_norm),
    "_fused_rms_norm": _layer_norm,
    **dict.fromkeys(("group_norm", "native_group_norm"), _group_norm),
    "instance_norm": _instance_norm,
    **dict.fromkeys(("_weight_norm", "_weight_norm_interface"), _weight_norm),
}
"""Op → the axes that it runs through besides those of its tensors."""
