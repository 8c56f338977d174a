"""Where the channels of a network can be rescaled by its own weights, read off its graph.

A *site* is a layer that multiplies each of its output channels by weights of that channel alone:
a linear layer or convolution (one row of the weight per channel) or a norm with a scale. What it
puts out is what REPAIR (Jordan et al. 2022, arXiv 2211.08403, section 3) calls preactivations: the
values that enter a nonlinearity. A layer right before a BatchNorm is none, since the BatchNorm
undoes any rescaling. The layer that gives the logits is kept apart: it is the temperature's.

Not covered, and said in `left_alone`: weights that several layers share, weights that are computed
from others, and layers written with other ops (einsum, recurrent cells).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor, fx

from engine.program import Program

MOST_NAMES = 3

LAYERS = frozenset(("linear", "conv1d", "conv2d", "conv3d", "convolution"))
TRANSPOSED = frozenset(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"))
PRODUCTS = frozenset(("addmm", "matmul", "mm"))
NORMS = frozenset(("batch_norm", "instance_norm", "layer_norm", "rms_norm", "group_norm"))
UNCOVERED = frozenset(("einsum", "bmm", "lstm", "gru", "rnn_tanh", "rnn_relu", "bilinear"))

LAYOUTS = frozenset(
    (
        *("contiguous", "clone", "alias", "detach", "dropout", "view", "reshape", "flatten"),
        *("unflatten", "squeeze", "unsqueeze", "permute", "transpose", "t", "select", "slice"),
    )
)
TAILS = LAYOUTS | {"mean", "sum", "avg_pool1d", "avg_pool2d", "avg_pool3d", "adaptive_avg_pool1d"}
TAILS |= {"adaptive_avg_pool2d", "adaptive_avg_pool3d"}
"""Ops through which a layer's scale reaches the logits unchanged."""


@dataclass(frozen=True)
class Site:
    """One layer whose output channels its own weights can scale, and shift where it has a bias.

    Attributes:
        node: its node in the graph.
        axis: where the channels are in its output.
        weight: the parameter that scales them.
        weight_axis: where they are in it.
        bias: the parameter that shifts them, [channels], or None.
        channels: how many there are.
        batch_norm: whether it is a BatchNorm with running statistics.
    """

    node: str
    axis: int
    weight: str
    weight_axis: int
    bias: str | None
    channels: int
    batch_norm: bool = False


@dataclass(frozen=True)
class Sites:
    """What was found in a graph.

    Attributes:
        hidden: the sites that repairs may rescale, in the order of the graph.
        head: the layer that gives the logits, or None where its weights cannot be scaled.
        left_alone: one sentence for each reason why layers are left as they are.
    """

    hidden: tuple[Site, ...]
    head: Site | None
    left_alone: tuple[str, ...]


def find_sites(program: Program) -> Sites:
    """Return the sites of a Program."""
    return _Search(program).found()


def arguments_of(node: fx.Node) -> dict[str, object]:
    """Return a node's arguments by the names in its op's schema, defaults included."""
    schema = getattr(node.target, "_schema", None)
    if schema is None:
        return {}
    given: dict[str, object] = {a.name: a.default_value for a in schema.arguments}
    return given | dict(zip(given, node.args, strict=False)) | node.kwargs


def op_name(node: fx.Node) -> str:
    """Return the name of a node's op without `aten::`, empty where it is none."""
    schema = getattr(node.target, "_schema", None)
    return "" if schema is None else schema.name.removeprefix("aten::")


class _Search:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.nodes = list(program.graph_module.graph.nodes)
        self.fed = _fed_by_inputs(program, self.nodes)
        self.reset = {site.node for site in program.batch_norms}
        self.shared: list[str] = []
        self.derived: list[str] = []
        self.other: list[str] = []
        self.fixed_norms: list[str] = []

    def found(self) -> Sites:
        head = self._head()
        hidden = []
        for node in self.nodes:
            if node not in self.fed or node is head or self._is_undone(node):
                continue
            if (site := self._site(node)) is not None:
                hidden.append(site)
        last = None if head is None else self._site(head)
        return Sites(tuple(hidden), last, tuple(self._sentences()))

    def _site(self, node: fx.Node) -> Site | None:
        """Return the site that a node is, None where it is none; note why a layer is none."""
        op, given = op_name(node), arguments_of(node)
        if op in UNCOVERED and self._reads_weights(node):
            self.other.append(op)
        if op in PRODUCTS:
            return self._product(node, op, given)
        if op in LAYERS | TRANSPOSED:
            rank = _rank(given.get("weight")) - 2
            transposed = op in TRANSPOSED or bool(given.get("transposed"))
            if transposed and given.get("groups", 1) != 1:
                self.other.append(f"{op} in groups")
                return None
            return self._made(node, given, int(transposed), -1 - max(rank, 0))
        if op in NORMS:
            return self._norm(node, op, given)
        return None

    def _product(self, node: fx.Node, op: str, given: dict[str, object]) -> Site | None:
        weight = given.get("mat2" if op in ("addmm", "mm") else "other")
        if weight in self.fed:
            return None
        if _rank(weight) != 2:
            self.other.append(op)
            return None
        plain = op != "addmm" or (given["beta"], given["alpha"]) == (1, 1)
        bias = given.get("self") if op == "addmm" else None
        if not plain or (bias is not None and _rank(bias) != 1):
            self.other.append(op)
            return None
        return self._made(node, {"weight": weight, "bias": bias}, 1, -1)

    def _norm(self, node: fx.Node, op: str, given: dict[str, object]) -> Site | None:
        by_last = op in ("layer_norm", "rms_norm")
        if given.get("weight") is None or (by_last and _rank(given["weight"]) != 1):
            self.fixed_norms.append(node.name)
            return None
        return self._made(node, given, 0, -1 if by_last else 1)

    def _made(
        self, node: fx.Node, given: dict[str, object], weight_axis: int, axis: int
    ) -> Site | None:
        weight, bias = given.get("weight"), given.get("bias")
        if weight in self.fed:
            return None
        name, turned = self._parameter(weight)
        shift = self._parameter(bias)[0] if bias is not None else None
        if name is None or (bias is not None and shift is None):
            return None
        shape = self.program.parameters[name].shape
        weight_axis = 1 - weight_axis if turned else weight_axis
        rank = _rank(node)
        return Site(
            node=node.name,
            axis=axis % rank,
            weight=name,
            weight_axis=weight_axis,
            bias=shift,
            channels=shape[weight_axis],
            batch_norm=node.name in self.reset,
        )

    def _parameter(self, argument: object) -> tuple[str | None, bool]:
        """Return the parameter that an argument is, for this layer alone, and if transposed."""
        turned = False
        if not isinstance(argument, fx.Node):
            return None, False
        source = argument
        while source.op != "placeholder" and _turns(source) and len(source.users) == 1:
            source, turned = source.all_input_nodes[0], not turned
        name = self.program.placeholders.get(source.name)
        if name is None:
            self.derived.append(argument.name)
            return None, False
        if len(source.users) > 1:
            self.shared.append(name)
            return None, False
        return name, turned

    def _head(self) -> fx.Node | None:
        """Return the layer whose output, pooled or laid out otherwise, is the logits."""
        output = next(node for node in self.nodes if node.op == "output")
        node = output.all_input_nodes[0]
        while op_name(node) in TAILS and len(node.users) == 1:
            before = node.args[0]
            if not isinstance(before, fx.Node):
                return None
            node = before
        return node if op_name(node) in LAYERS | TRANSPOSED | PRODUCTS | NORMS else None

    def _is_undone(self, node: fx.Node) -> bool:
        """Return whether all that a layer puts out goes into a BatchNorm, which normalises it."""
        if op_name(node) not in LAYERS | TRANSPOSED | PRODUCTS:
            return False
        while len(node.users) == 1:
            (node,) = node.users
            if node.name in self.reset:
                return True
            if op_name(node) not in LAYOUTS:
                return False
        return False

    def _reads_weights(self, node: fx.Node) -> bool:
        return any(source not in self.fed for source in node.all_input_nodes)

    def _sentences(self) -> Iterable[str]:
        if self.shared:
            yield f"Weights that several layers share are left alone: {_some(self.shared)}."
        if self.derived:
            yield f"Weights computed from others are left alone: {_some(self.derived)}."
        if self.other:
            yield f"Layers written with other ops are left alone: {_some(self.other)}."
        if self.fixed_norms:
            yield f"Norms without a scale per channel are left alone: {_some(self.fixed_norms)}."


def _turns(node: fx.Node) -> bool:
    """Return whether a node transposes a matrix."""
    return op_name(node) in ("t", "transpose", "permute", "mT", "numpy_T") and _rank(node) == 2


def _rank(node: object) -> int:
    value = node.meta.get("val") if isinstance(node, fx.Node) else None
    return value.dim() if isinstance(value, Tensor) else -1


def _fed_by_inputs(program: Program, nodes: Iterable[fx.Node]) -> set[object]:
    """Return the nodes whose values depend on the model's inputs."""
    known = {*program.placeholders, *program.constants}
    fed: set[object] = set()
    for node in nodes:
        is_input = node.op == "placeholder" and node.name not in known
        if is_input or any(source in fed for source in node.all_input_nodes):
            fed.add(node)
    return fed


def _some(names: Iterable[str]) -> str:
    each = list(dict.fromkeys(names))
    more = f" and {len(each) - MOST_NAMES} more" if len(each) > MOST_NAMES else ""
    return ", ".join(each[:MOST_NAMES]) + more
