"""Ops that act on each element alone: the axes that meet under broadcasting are unified.

Most are found by torch's own tag; the names here are those that the tag leaves out.
"""

from __future__ import annotations

from engine.symmetry.rules.registry import Axes, Call, NoRuleError, Value, rule


@rule(
    *("masked_fill", "hardswish", "log_sigmoid", "rsub", "where", "isclose", "floor_divide"),
    *("multiply", "divide", "subtract", "true_divide", "absolute", "negative", "square"),
    *("greater", "greater_equal", "less", "less_equal", "not_equal", "special_expit"),
    *("special_erf", "special_exp2", "special_expm1", "special_log1p", "arctan", "arctan2"),
    *("logical_and", "logical_or", "logical_xor", "isfinite", "isinf", "__and__", "__or__"),
    *("lerp", "addcmul", "addcdiv", "threshold", "softsign", "tanhshrink", "polar", "complex"),
    *("arccos", "arcsin", "arctanh", "fill", "_prelu_kernel", "xlogy", "fix", "real", "imag"),
    *("special_erfc", "special_ndtr", "special_sinc", "special_round", "special_logit", "conj"),
    *("special_i0", "special_digamma", "special_xlogy", "arccosh", "arcsinh", "special_erfinv"),
)
def pointwise(call: Call) -> Value:
    """Unify what meets under broadcasting; every output has the broadcast axes."""
    outputs: list[Axes] = [call.broadcast(call.tensors(), shape) for shape in call.shapes]
    if not outputs:
        raise NoRuleError
    return outputs[0] if len(outputs) == 1 else outputs


@rule("copy")
def copied(call: Call) -> Value:
    """`copy(self, src)` has the shape of self and the values of src."""
    return call.broadcast([call.axes("self"), call.axes("src")], call.shape)


@rule(
    *("clone", "contiguous", "to", "_to_copy", "alias", "detach", "lift_fresh_copy", "lift_fresh"),
    *("type_as", "softmax", "_softmax", "log_softmax", "special_softmax", "special_log_softmax"),
    *("alias_copy", "detach_copy", "_lazy_clone"),
    *("_log_softmax", "_safe_softmax", "softmin", "_conj", "resolve_conj", "resolve_neg"),
    *("float", "double", "half", "cpu"),
)
def unchanged(call: Call) -> Value:
    """Same axes: copies, casts, and softmax, which commutes with a permutation of its axis."""
    return same_shape(call)


@rule("equal", "is_nonzero", "item", "_local_scalar_dense")
def reads_values(call: Call) -> Value:
    """An op that turns values into Python's: nothing is known of it."""
    raise NoRuleError


@rule("dropout", "dropout_", "feature_dropout", "alpha_dropout", "feature_alpha_dropout")
def dropout(call: Call) -> Value:
    """The identity in eval mode; in training mode it draws numbers and has no rule."""
    if call.arguments.get("train") is not False:
        raise NoRuleError
    return call.axes("input")


@rule("native_dropout")
def native_dropout(call: Call) -> Value:
    """Like `dropout`, with the mask as a second output."""
    if call.arguments.get("train") is not False:
        raise NoRuleError
    return [call.axes("input"), call.axes("input")]


@rule("prelu")
def prelu(call: Call) -> Value:
    """One slope for all, or one per channel: the slope's axis is that of the channels."""
    x, weight = call.axes("self"), call.axes("weight")
    if weight and weight[0].size != 1:
        call.unify(x[1 if len(x) > 1 else 0], weight[0])
    return x


@rule("glu")
def glu(call: Call) -> Value:
    """First half times the sigmoid of the second: the halves permute together."""
    x = call.axes("self")
    dim = call.integer("dim", -1) % len(x)
    half = x[dim].size // 2
    first, second = call.algebra.cut(x[dim], half)
    call.unify(first, second)
    return (*x[:dim], first, *x[dim + 1 :])


def same_shape(call: Call) -> Axes:
    """Return the axes of the first tensor, whose shape the output shares."""
    return call.axes("input" if "input" in call.arguments else "self")
