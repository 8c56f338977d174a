"""Recurrent layers and cells as one op: gates are stacked, the hidden units go together."""

from __future__ import annotations

from collections.abc import Sequence

from torch import fx

from engine.symmetry.axes import Expression
from engine.symmetry.rules.registry import Axes, Call, NoRuleError, Value, rule

STATES = "stacks the last states of its layers"


@rule("gru.input", "rnn_tanh.input", "rnn_relu.input", "lstm.input")
def layers(call: Call) -> Value:
    """Layers over time, in one direction or both, each with hidden units of its own."""
    gates = {"gru": 3, "lstm": 4}.get(call.op, 1)
    params = call.many("params")
    both = bool(call.arguments["bidirectional"])
    each = 4 if call.arguments["has_biases"] else 2
    count = call.integer("num_layers") * (2 if both else 1)
    if len(params) != each * count or call.arguments.get("train"):
        raise NoRuleError  # a projection of the hidden state, or dropout between layers
    x, found = call.axes("input"), []
    features = x[2]
    for layer in range(call.integer("num_layers")):
        outputs = []
        for direction in range(2 if both else 1):
            at = each * (layer * (2 if both else 1) + direction)
            hidden = _cell(call, features, params[at : at + each], gates)
            call.produced.append((_name(call, at), hidden))
            outputs.append(hidden)
        found += outputs
        features = call.algebra.concat([call.algebra.resolve(h) for h in outputs])
    call.fix((x[0 if not call.arguments["batch_first"] else 1],), "goes through time")
    state = _states(call, found)
    return [(*x[:2], features), *[state] * (len(call.shapes) - 1)]


def _cell(call: Call, features: Expression, params: Sequence[Axes], gates: int) -> Expression:
    """Unify one layer's parameters with its features and return its hidden units."""
    weight_x, weight_h, *biases = params
    hidden = weight_h[1]
    call.unify(weight_x[1], features)
    for stacked, *_ in (weight_x, weight_h, *biases):
        for gate in range(gates):
            start = gate * hidden.size
            call.unify(call.algebra.segment(stacked, start, start + hidden.size), hidden)
    return hidden


def _states(call: Call, hidden: Sequence[Expression]) -> Axes:
    """Return the axes of the last states; where they are given or used, all layers go together."""
    given = call.arguments["hx"]
    used = any(index in call.used_outputs for index in range(1, len(call.shapes)))
    nodes = given if isinstance(given, list | tuple) else (given,)
    initial = [
        call.values.get(node)
        for node in nodes
        if isinstance(node, fx.Node) and not is_constant(node)
    ]
    if used or initial:
        for other in hidden[1:]:
            call.unify(hidden[0], other)
    for axes in initial:
        if not isinstance(axes, tuple):
            raise NoRuleError
        call.fix(axes[:1], STATES)
        call.unify(axes[2], hidden[0])
    x = call.axes("input")
    batch = x[0 if call.arguments["batch_first"] else 1]
    return (*call.fixed(call.shapes[1][:1], STATES), batch, hidden[0])


def is_constant(node: fx.Node) -> bool:
    """Return whether a node is one value everywhere, which no permutation changes."""
    return str(node.target).startswith(("aten.zeros", "aten.new_zeros"))


def _name(call: Call, index: int) -> str:
    params = call.arguments["params"]
    assert isinstance(params, list | tuple)
    return call.parameter_of(params[index]) or "hidden"


@rule("gru_cell", "lstm_cell", "rnn_tanh_cell", "rnn_relu_cell")
def cell(call: Call) -> Value:
    """One step of one layer."""
    gates = {"gru_cell": 3, "lstm_cell": 4}.get(call.op, 1)
    names = ("w_ih", "w_hh", "b_ih", "b_hh")
    params = [axes for axes in map(call.optional, names) if axes is not None]
    x = call.axes("input")
    hidden = _cell(call, x[-1], params, gates)
    call.produce("w_ih", hidden)
    states = call.many("hx")
    for axes in states:
        call.unify(axes[-1], hidden)
        for left, right in zip(axes[:-1], x[:-1], strict=True):
            call.unify(left, right)
    outputs: list[Axes] = [(*x[:-1], hidden)] * len(call.shapes)
    return outputs if len(outputs) > 1 else outputs[0]
