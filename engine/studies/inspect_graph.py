"""A Program's graph reduced to what a reader knows by name: its layers and how data flows.

Every op that meets parameters becomes a layer (its weight and bias together), every op that
joins two flows of data (a residual sum, a concatenation, attention) becomes a join, everything
else is passed through. Each layer says which permutation groups stand on the axes of its main
parameter. For drawing only: nothing is concluded from it. Which groups stand on a join's
values is taken from its sources, not derived.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from math import prod

import torch
from torch import Tensor, fx

from engine.program import Program
from engine.symmetry import Symmetry

FIXED = 0
"""Stands for a stretch that no group permutes; groups are numbered from 1."""

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


@dataclass(frozen=True)
class Stretch:
    """A part of one axis: its length, and the numbers of the groups on it, outer to inner."""

    size: int
    groups: tuple[int, ...]


@dataclass(frozen=True)
class Layer:
    """One box of the drawing.

    Attributes:
        name: the module's path; empty for joins, inputs and outputs.
        kind: "conv", "linear", "norm", "embedding", "parameter", "join", "input" or "output".
        sign: what a join does ("+"), or which op a layer is.
        parameters: names of the parameters that it reads.
        shape: of its largest parameter.
        inputs, outputs: the stretches of the axis by which data comes in and goes out.
        sources: places of the layers that data comes from, all smaller than its own.
    """

    name: str
    kind: str
    sign: str
    parameters: tuple[str, ...] = ()
    shape: tuple[int, ...] = ()
    inputs: tuple[Stretch, ...] = ()
    outputs: tuple[Stretch, ...] = ()
    sources: tuple[int, ...] = ()
    parts: tuple[str, ...] = field(default=())
    """Further modules drawn in the same box, such as a norm behind its convolution."""


def network_graph(program: Program, symmetry: Symmetry) -> list[dict[str, object]]:
    """Return the layers of a Program in the order of its graph, as JSON values."""
    walk = _Walk(program, axis_stretches(symmetry))
    for node in program.graph_module.graph.nodes:
        walk.visit(node)
    layers = _with_norms(_without_chains(walk.layers))
    return [asdict(layer) for layer in layers]


def axis_stretches(symmetry: Symmetry) -> dict[tuple[str, int], tuple[Stretch, ...]]:
    """Return (parameter, axis) → the stretches of that axis, fixed ones too, in order."""
    found: dict[tuple[str, int], list[tuple[int, int, int, int]]] = {}
    for number, group in enumerate(symmetry.groups, start=1):
        for o in group.occurrences:
            place = (o.start, o.stop, -o.inner, number)
            found.setdefault((o.parameter, o.axis), []).append(place)
    result = {}
    for name, shape in symmetry.shapes.items():
        for axis, size in enumerate(shape):
            result[name, axis] = _cut(size, found.get((name, axis), ()))
    return result


def _cut(size: int, places: Sequence[tuple[int, int, int, int]]) -> tuple[Stretch, ...]:
    """Cut an axis where its groups begin and end; equal neighbours are one stretch."""
    bounds = sorted({0, size, *(p[0] for p in places), *(p[1] for p in places)})
    stretches: list[Stretch] = []
    for begin, end in pairwise(bounds):
        over = sorted((p for p in places if p[0] <= begin and end <= p[1]), key=lambda p: p[2])
        groups = tuple(dict.fromkeys(p[3] for p in over)) or (FIXED,)
        if stretches and stretches[-1].groups == groups:
            stretches[-1] = Stretch(stretches[-1].size + end - begin, groups)
        else:
            stretches.append(Stretch(end - begin, groups))
    return tuple(stretches)


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


def _without_chains(layers: list[Layer]) -> list[Layer]:
    """Draw joins of one kind that only feed each other as one: q·k·v, a + b + c."""
    users = _users(layers)
    into: dict[int, int] = {}
    for at, layer in enumerate(layers):
        for source in layer.sources:
            other = layers[source]
            same = layer.kind == other.kind == "join" and layer.sign == other.sign
            if same and users[source] == [at]:
                into[source] = at
    return _merged(layers, into)


def _with_norms(layers: list[Layer]) -> list[Layer]:
    """Draw a norm in the box of the layer that feeds nothing but it."""
    users = _users(layers)
    into: dict[int, int] = {}
    for at, layer in enumerate(layers):
        if layer.kind == "norm" and len(layer.sources) == 1:
            source = layer.sources[0]
            if layers[source].kind in ("conv", "linear") and users[source] == [at]:
                into[at] = source
    return _merged(layers, into)


def _users(layers: Sequence[Layer]) -> list[list[int]]:
    users: list[list[int]] = [[] for _ in layers]
    for at, layer in enumerate(layers):
        for source in layer.sources:
            users[source].append(at)
    return users


def _merged(layers: Sequence[Layer], into: Mapping[int, int]) -> list[Layer]:
    """Return the layers with some taken into others; data flows as before."""
    kept = [at for at in range(len(layers)) if at not in into]
    place = {at: index for index, at in enumerate(kept)}

    def home(at: int) -> int:
        while at in into:
            at = into[at]
        return place[at]

    sources: dict[int, dict[int, None]] = {index: {} for index in range(len(kept))}
    result = [layers[at] for at in kept]
    for at, layer in enumerate(layers):
        own = home(at)
        sources[own].update((home(s), None) for s in layer.sources if home(s) != own)
        if at in into:
            host = result[own]
            parts = (*host.parts, layer.name) if layer.name else host.parts
            taken = (*host.parameters, *layer.parameters)
            result[own] = replace(host, parameters=taken, parts=parts)
    return [
        replace(layer, sources=tuple(sorted(sources[index]))) for index, layer in enumerate(result)
    ]


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
