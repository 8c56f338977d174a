"""Reductions and pooling: a reduced axis disappears, whatever its order."""

from __future__ import annotations

from engine.symmetry.axes import ONE
from engine.symmetry.rules.registry import Axes, Call, NoRuleError, Value, dimension, replaced, rule

PLACE = "reads positions by their place"
RANK = "returns places along it"


def _reduced(call: Call, x: Axes) -> set[int]:
    """Return the dimensions that a reduction removes: those named, or all."""
    names = [name for name in ("dim", "dims") if name in call.arguments]
    given = call.integers(names[0]) if names else ()
    return {dimension(index, len(x)) for index in given} or set(range(len(x)))


def _without(call: Call, x: Axes, removed: set[int]) -> Axes:
    kept = [axis for index, axis in enumerate(x) if index not in removed]
    if len(call.shapes[0]) == len(kept):
        return tuple(kept)
    return tuple(ONE if index in removed else axis for index, axis in enumerate(x))


@rule(
    *("mean", "sum", "amax", "amin", "prod", "var", "std", "logsumexp", "all", "any", "norm"),
    *("linalg_vector_norm", "nansum", "nanmean", "var_mean", "std_mean", "count_nonzero"),
    *("max.default", "min.default", "median.default", "aminmax"),
)
def symmetric_reduction(call: Call) -> Value:
    """The value does not depend on the order along the reduced axes."""
    x = call.axes("self")
    result = _without(call, x, _reduced(call, x))
    return result if len(call.shapes) == 1 else [result] * len(call.shapes)


@rule("max.dim", "min.dim", "median.dim", "nanmedian.dim")
def value_and_place(call: Call) -> Value:
    """Like a reduction, but its second output, where used, is a place along the axis."""
    x = call.axes("self")
    removed = _reduced(call, x)
    if 1 in call.used_outputs:
        call.fix((x[index] for index in removed), RANK)
    result = _without(call, x, removed)
    return [result, result]


@rule("argmax", "argmin")
def place(call: Call) -> Value:
    """The place of the extreme along the axis, which is therefore fixed."""
    x = call.axes("self")
    removed = _reduced(call, x)
    call.fix((x[index] for index in removed), RANK)
    return _without(call, x, removed)


@rule("sort", "topk", "kthvalue", "mode", "cummax", "cummin")
def order(call: Call) -> Value:
    """Values and places along one axis, which is fixed; the others pass."""
    x = call.axes("self")
    index = dimension(call.integer("dim", -1), len(x))
    call.fix((x[index],), RANK)
    outputs: list[Axes] = []
    for shape in call.shapes:
        if len(shape) != len(x):
            outputs.append((*x[:index], *x[index + 1 :]))
            continue
        outputs.append((*x[:index], *call.fixed((shape[index],), RANK), *x[index + 1 :]))
    return outputs


@rule("diff")
def differences(call: Call) -> Value:
    """Neighbours along one axis are subtracted; the others pass."""
    x = call.axes("self")
    at = dimension(call.integer("dim", -1), len(x))
    pieces = [axes for name in ("prepend", "append") if (axes := call.optional(name))]
    call.fix((axes[at] for axes in (x, *pieces)), PLACE)
    for axes in pieces:
        for position, (left, right) in enumerate(zip(x, axes, strict=True)):
            if position != at:
                call.unify(left, right)
    return replaced(x, at, *call.fixed((call.shape[at],), PLACE))


@rule("fft_fft", "fft_ifft", "fft_rfft", "fft_irfft", "fft_fft2", "fft_ifft2", "fft_rfft2")
@rule("fft_irfft2", "fft_fftn", "fft_ifftn", "fft_rfftn", "fft_irfftn", "fft_fftshift")
def fourier(call: Call) -> Value:
    """Every frequency sees every place: the transformed axes are fixed, the others pass."""
    x = call.axes("self")
    dims = call.integers("dim") or tuple(range(len(x)))
    result = list(x)
    for at in (dimension(index, len(x)) for index in dims):
        call.fix((x[at],), PLACE)
        (result[at],) = call.fixed((call.shape[at],), PLACE)
    return tuple(result)


@rule("cumsum", "cumprod", "logcumsumexp", "flip", "roll")
def ordered_along(call: Call) -> Value:
    """Order matters along the named axes; the others pass."""
    x = call.axes("self")
    indices = call.integers("dims" if "dims" in call.arguments else "dim")
    if not indices:
        raise NoRuleError
    call.fix((x[dimension(index, len(x))] for index in indices), PLACE)
    return x


@rule("tril", "triu")
def triangle(call: Call) -> Value:
    """The last two axes are compared by place."""
    x = call.axes("self")
    call.fix(x[-2:], PLACE)
    return x


POOLS = ("max_pool{}d", "avg_pool{}d", "adaptive_avg_pool{}d", "adaptive_max_pool{}d")
RESAMPLES = (
    *("_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "max_pool2d_with_indices"),
    *("max_pool3d_with_indices", "max_pool1d_with_indices", "upsample_nearest1d"),
    *("upsample_nearest2d", "upsample_nearest3d", "upsample_bilinear2d", "upsample_bicubic2d"),
    *("upsample_linear1d", "upsample_trilinear3d", "_upsample_nearest_exact2d"),
    *("_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa", "_upsample_nearest_exact1d"),
    *("_upsample_nearest_exact3d", "_upsample_lanczos2d_aa", "reflection_pad1d"),
    *("reflection_pad2d", "reflection_pad3d", "replication_pad1d", "replication_pad2d"),
    *("replication_pad3d",),
)


@rule(*(name.format(rank) for name in POOLS for rank in (1, 2, 3)), *RESAMPLES)
def resample(call: Call) -> Value:
    """Positions in space are mixed by place; batch and channels pass."""
    x = call.axes("input" if "input" in call.arguments else "self")
    rank = int(next(c for c in call.op if c.isdigit()))
    call.fix(x[-rank:], PLACE)
    outputs: list[Axes] = [(*x[:-rank], *call.fixed(shape[-rank:], PLACE)) for shape in call.shapes]
    return outputs[0] if len(outputs) == 1 else outputs
