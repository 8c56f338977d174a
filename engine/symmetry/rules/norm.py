"""Normalisation: the normalised axes are unified with scale, shift and statistics."""

from __future__ import annotations

from engine.symmetry.axes import ONE
from engine.symmetry.rules.registry import Axes, Call, NoRuleError, Value, rule
from engine.symmetry.unify import NoRefinementError


@rule("batch_norm", "instance_norm")
def channel_norm(call: Call) -> Value:
    """Each channel by itself: all four vectors follow the channels."""
    x = call.axes("input")
    for name in ("weight", "bias", "running_mean", "running_var"):
        vector = call.optional(name)
        call.unify(x[1], vector[0] if vector else None)
    return x


@rule(
    *("native_batch_norm", "_native_batch_norm_legit_no_training", "_native_batch_norm_legit"),
    *("cudnn_batch_norm", "_batch_norm_no_update"),
)
def native_batch_norm(call: Call) -> Value:
    """Like `batch_norm`; the saved statistics, if any, follow the channels as well."""
    x = channel_norm(call)
    assert isinstance(x, tuple)
    saved: list[Axes] = [
        (x[1],) if shape == (x[1].size,) else call.fixed(shape, "saves its statistics")
        for shape in call.shapes[1:]
    ]
    return [x, *saved]


@rule("layer_norm", "rms_norm", "_fused_rms_norm", "native_layer_norm")
def layer_norm(call: Call) -> Value:
    """The last axes together: mean and variance do not change when they are permuted."""
    x = call.axes("input")
    count = len(call.integers("normalized_shape"))
    for name in ("weight", "bias"):
        vector = call.optional(name) if name in call.arguments else None
        for axis, own in zip(x[len(x) - count :], vector or (), strict=False):
            call.unify(axis, own)
    statistics: Axes = (*x[: len(x) - count], *[ONE] * count)
    return x if len(call.shapes) == 1 else [x, *[statistics] * (len(call.shapes) - 1)]


@rule("group_norm", "native_group_norm")
def group_norm(call: Call) -> Value:
    """Channels are (group, channel within it): both may permute, the group as a whole.

    Channels that are no such product are cut at the borders of the groups.
    """
    x = call.axes("input")
    groups = call.integer("num_groups" if "num_groups" in call.arguments else "group")
    size = x[1].size // groups
    try:
        group, _ = call.algebra.split(x[1], size)
    except NoRefinementError:
        for border in range(size, x[1].size, size):
            call.algebra.cut(x[1], border)
        call.acted.append(x[1])  # units of two groups cannot be exchanged
        (group,) = call.fixed((groups,), "normalises groups of channels")
    for name in ("weight", "bias"):
        vector = call.optional(name)
        call.unify(x[1], vector[0] if vector else None)
    if len(call.shapes) == 1:
        return x
    return [x, (x[0], group), (x[0], group)]


@rule("_weight_norm", "_weight_norm_interface")
def weight_norm(call: Call) -> Value:
    """Directions v scaled to the lengths g, one per unit of one axis."""
    v, g = call.axes("v"), call.axes("g")
    for left, right in zip(v, g, strict=True):
        call.unify(left, right if right.size == left.size else None)
    return v if len(call.shapes) == 1 else [v, g]


@rule("norm_except_dim")
def norm_except(call: Call) -> Value:
    """The length of the slices along one axis."""
    v, at = call.axes("v"), call.integer("dim", 0)
    if not 0 <= at < len(v):
        raise NoRuleError
    return tuple(axis if index == at else ONE for index, axis in enumerate(v))
