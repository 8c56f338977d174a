"""A Program's graph reduced to what a reader knows by name: its layers and how data flows.

Every op that meets parameters becomes a layer (its weight and bias together), every op that
joins two flows of data (a residual sum, a concatenation, attention) becomes a join, everything
else is passed through. Each layer says which permutation groups stand on the axes of its main
parameter. For drawing only: nothing is concluded from it. Which groups stand on a join's
values is taken from its sources, not derived.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from math import prod

import torch
from torch import Tensor, fx

from engine.program import Program
from engine.studies.inspect_layers import (
    FIXED,
    Layer,
    Stretch,
    axis_stretches,
    merge_joins,
    merge_norms,
)
from engine.symmetry import Symmetry

_JOINS = {
    "add": "+",
    "sub": "−",
    "mul": "×",
    "div": "÷",
    "cat": "concat",
    "stack": "stack",
    "scaled_dot_product_attention": "attention",
    "matmul": "·",
    "bmm": "·",
    "baddbmm": "·",
    "einsum": "·",
}
_PRODUCTS = frozenset({"matmul", "mm", "addmm", "bmm", "baddbmm", "einsum"})
_TRANSPOSES = frozenset({"t", "transpose", "permute", "numpy_T", "swapaxes"})
_LEAVES = frozenset({"weight", "bias"})


def network_graph(program: Program, symmetry: Symmetry) -> list[dict[str, object]]:
    """Return the layers of a Program in the order of its graph, as JSON values."""
    walk = _Walk(program, axis_stretches(symmetry))
    for node in program.graph_module.graph.nodes:
        walk.visit(node)
    layers = merge_norms(merge_joins(walk.layers))
    return [asdict(layer) for layer in layers]


@dataclass(frozen=True)
class _Flow:
    """What a node's value is made of: layers that data comes from, parameters, transposes."""

    layers: tuple[int, ...] = ()
    parameters: tuple[str, ...] = ()
    flips: int = 0


class _Walk:
    def __init__(
        self, program: Program, stretches: Mapping[tuple[str, int], tuple[Stretch, ...]]
    ) -> None:
        self.program, self.stretches = program, stretches
        self.layers: list[Layer] = []
        self.flows: dict[fx.Node, _Flow] = {}

    def visit(self, node: fx.Node) -> None:
        self.flows[node] = self._flow(node)

    def _flow(self, node: fx.Node) -> _Flow:
        if node.op == "placeholder":
            return self._placeholder(node)
        flows = [self.flows[source] for source in node.all_input_nodes]
        layers = tuple(dict.fromkeys(at for flow in flows for at in flow.layers))
        parameters = tuple(dict.fromkeys(n for flow in flows for n in flow.parameters))
        if node.op == "output":
            return self._add(Layer("", "output", "output", sources=layers))
        if not _is_tensor(node):
            return _Flow()
        if not layers:
            own = _op(node) in _TRANSPOSES
            return _Flow((), parameters, max((f.flips for f in flows), default=0) + own)
        return self._of_data(node, layers, parameters)

    def _of_data(
        self, node: fx.Node, layers: tuple[int, ...], parameters: tuple[str, ...]
    ) -> _Flow:
        if parameters:
            return self._layer(node, layers, parameters)
        if len(layers) == 1 or node.target is operator.getitem:
            return _Flow(layers)
        return self._join(node, layers)

    def _placeholder(self, node: fx.Node) -> _Flow:
        name = self.program.placeholders.get(node.name)
        if name is not None:
            return _Flow((), (name,))
        if node.name in self.program.constants:
            return _Flow()
        return self._add(Layer("", "input", node.name))

    def _add(self, layer: Layer) -> _Flow:
        self.layers.append(layer)
        return _Flow((len(self.layers) - 1,))

    def _join(self, node: fx.Node, sources: tuple[int, ...]) -> _Flow:
        op = _op(node)
        made = [self.layers[at].outputs for at in sources if self.layers[at].outputs]
        if op in ("cat", "stack"):
            outputs = tuple(stretch for stretches in made for stretch in stretches)
        else:
            outputs = made[-1 if "attention" in op else 0] if made else ()
        return self._add(Layer("", "join", _JOINS.get(op, op), sources=sources, outputs=outputs))

    def _layer(self, node: fx.Node, sources: tuple[int, ...], parameters: tuple[str, ...]) -> _Flow:
        shapes = {name: self.program.parameters[name].shape for name in parameters}
        main = max(parameters, key=lambda name: prod(shapes[name]))
        name, kind = layer_name(main), _kind(_op(node))
        at = sources[-1]
        before = self.layers[at]
        if kind == "parameter" and before.name == name and before.kind != "join":
            self.layers[at] = replace(before, parameters=(*before.parameters, *parameters))
            return _Flow((at,))
        inputs, outputs = self._sides(node, kind, main)
        return self._add(
            Layer(name, kind, _sign(_op(node)), parameters, shapes[main], inputs, outputs, sources)
        )

    def _sides(
        self, node: fx.Node, kind: str, main: str
    ) -> tuple[tuple[Stretch, ...], tuple[Stretch, ...]]:
        """Return the stretches of the axes by which data comes into and leaves a layer."""
        shape = self.program.parameters[main].shape
        axes = [self.stretches[main, axis] for axis in range(len(shape))]
        if kind in ("conv", "linear", "embedding") and len(axes) >= 2:
            into, out = self._ends(node, main)
            depthwise = shape[into] == 1 and _conv_groups(node) > 1
            return axes[out if depthwise else into], axes[out]
        free = [axis for axis in axes if any(s.groups != (FIXED,) for s in axis)]
        one = (free or [axis for axis in axes if axis and axis[0].size > 1] or axes or [()])[-1]
        return ((), one) if _op(node) in ("cat", "stack") else (one, one)

    def _ends(self, node: fx.Node, main: str) -> tuple[int, int]:
        """Return which axes of a weight are contracted with the data and made by the layer."""
        op, last = _op(node), len(self.program.parameters[main].shape) - 1
        if op == "embedding" or "transpose" in op:
            return 0, 1
        if op not in _PRODUCTS:
            return 1, 0
        source = next(n for n in node.all_input_nodes if main in self.flows[n].parameters)
        operands = [n for n in node.all_input_nodes if _is_tensor(n)]
        first = op != "addmm" and operands[0] is source  # W·x, not x·W
        flipped = (self.flows[source].flips + first) % 2
        return (last, last - 1) if flipped else (last - 1, last)


def layer_name(parameter: str) -> str:
    """Return the module that a parameter belongs to, or the parameter's own name.

    `fc.weight` is of `fc`; `attn.in_proj_weight` is called `attn.in_proj`.
    """
    path, _, leaf = parameter.rpartition(".")
    if path and leaf in _LEAVES:
        return path
    for ending in ("_weight", "_bias"):
        if leaf.endswith(ending):
            return parameter.removesuffix(ending)
    return parameter


def _is_tensor(node: fx.Node) -> bool:
    value = node.meta.get("val")
    values = value if isinstance(value, list | tuple) else [value]
    return any(isinstance(item, Tensor) for item in values)


def _op(node: fx.Node) -> str:
    if isinstance(node.target, torch._ops.OpOverload):
        return node.target._schema.name.rpartition("::")[2]
    return str(node.target)


def _conv_groups(node: fx.Node) -> int:
    """Return into how many independent parts a convolution divides its channels."""
    if not isinstance(node.target, torch._ops.OpOverload):
        return 1
    names = [argument.name for argument in node.target._schema.arguments]
    given = dict(zip(names, node.args, strict=False)) | node.kwargs
    groups = given.get("groups", 1)
    return groups if isinstance(groups, int) else 1


def _kind(op: str) -> str:
    if "conv" in op:
        return "conv"
    if op == "linear" or op in _PRODUCTS:
        return "linear"
    if "norm" in op:
        return "norm"
    return "embedding" if "embedding" in op else "parameter"


def _sign(op: str) -> str:
    return _JOINS.get(op, op) if _kind(op) == "parameter" else op
