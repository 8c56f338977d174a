"""Which values of a graph are affine in the parameters: they need no point to be computed.

A value that is affine in the parameters is affine in a point's coefficients, whose sum is 1: at
Σ c_k·θ_k it is Σ c_k times its value at model k. So it is computed once per model instead of once
per point. That holds for the first layer, whose input no parameter touches (its bias included),
for embeddings, and for what follows as long as it only moves, adds or averages numbers.

Hoisting pays where a number of the value took many operations to make: combining K models costs
K readings per number, whatever it took. It is therefore judged by fixed rules on the graph alone,
the same on every machine, so that a point's bits never depend on a clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from torch import fx

from engine.landscape.plans.cost import elements, op_name, operations, traced
from engine.program import Program

LEAST_OPERATIONS_PER_NUMBER = 128
"""About where one number's share of a layer costs as much as combining three models."""

LEAST_SHARE = 0.05
"""Of all operations; below it the memory is better left free."""

_BIASED = frozenset({"linear", "conv1d", "conv2d", "conv3d"})
_PRODUCTS = _BIASED | {"matmul", "mm", "bmm", "mul"}
_SECOND_FIXED = frozenset({"div", "embedding"})
_VIEWS = (
    "view",
    "reshape",
    "flatten",
    "unflatten",
    "permute",
    "transpose",
    "t",
    "movedim",
    "expand",
)
_PARTS = ("unsqueeze", "squeeze", "slice", "select", "cat", "stack", "repeat", "flip", "roll")
_MOVES = frozenset({*_VIEWS, *_PARTS, "contiguous", "clone"})
_SUMS = frozenset(
    ("add", "sub", "neg", "mean", "sum", "avg_pool1d", "avg_pool2d", "adaptive_avg_pool2d")
)


class _Kind(Enum):
    FIXED = "depends on no parameter"
    AFFINE = "affine in the parameters"
    OTHER = "anything else"


@dataclass(frozen=True)
class Hoisting:
    """The values at which a graph is cut.

    Attributes:
        frontier: names of the affine nodes that other values need, in order.
        numbers: how many numbers they hold per sample.
        operations: what they take per sample.
        share: of the operations of the whole graph, 0 to 1.
    """

    frontier: tuple[str, ...]
    numbers: int
    operations: int
    share: float

    @property
    def pays(self) -> bool:
        """Whether computing them once per model is worth the memory and the combining."""
        if not self.frontier or self.share < LEAST_SHARE:
            return False
        return self.operations >= LEAST_OPERATIONS_PER_NUMBER * self.numbers


def hoisting(program: Program) -> Hoisting:
    """Return where a Program's graph can be cut; an empty frontier where it cannot."""
    nodes = list(program.graph_module.graph.nodes)
    kinds: dict[fx.Node, _Kind] = {}
    for node in nodes:
        kinds[node] = _kind(node, kinds, program)
    batch = _batch_symbol(program)
    frontier = [
        node
        for node in nodes
        if node.op == "call_function"
        and kinds[node] is _Kind.AFFINE
        and _per_sample(node, batch)
        and any(kinds[user] is _Kind.OTHER for user in node.users)
    ]
    values = [value for node in frontier if (value := traced(node)) is not None]
    within = sum(operations(node) for node in _needed(frontier))
    total = sum(map(operations, nodes))
    return Hoisting(
        frontier=tuple(node.name for node in frontier),
        numbers=sum(map(elements, values)),
        operations=within,
        share=within / total if total else 0.0,
    )


def _kind(node: fx.Node, kinds: dict[fx.Node, _Kind], program: Program) -> _Kind:
    if node.op == "placeholder":
        return _Kind.AFFINE if node.name in program.placeholders else _Kind.FIXED
    found = [kinds[source] for source in node.all_input_nodes]
    if node.op == "call_function" and all(kind is _Kind.FIXED for kind in found):
        return _Kind.FIXED
    value = traced(node)
    if _Kind.OTHER in found or value is None or not value.is_floating_point():
        return _Kind.OTHER
    return _Kind.AFFINE if _keeps_affine(node, kinds) else _Kind.OTHER


def _keeps_affine(node: fx.Node, kinds: dict[fx.Node, _Kind]) -> bool:
    """Return whether an op of affine and fixed arguments is affine in the parameters."""
    name = op_name(node)
    if name in _MOVES or name in _SUMS:
        return True
    factors = [_argument(argument, kinds) for argument in node.args[:2]]
    if len(factors) < 2 or node.kwargs:
        return False
    if name in _SECOND_FIXED:
        return factors[1] is _Kind.FIXED
    # Two factors that depend on parameters would be quadratic in them. A bias beside them is
    # added, whatever it depends on.
    bilinear = name in _BIASED or (name in _PRODUCTS and len(node.args) == 2)
    return bilinear and factors.count(_Kind.AFFINE) <= 1


def _argument(argument: object, kinds: dict[fx.Node, _Kind]) -> _Kind:
    return kinds[argument] if isinstance(argument, fx.Node) else _Kind.FIXED


def _batch_symbol(program: Program) -> str | None:
    for node in program.graph_module.graph.nodes:
        held = node.name in program.placeholders or node.name in program.constants
        value = traced(node)
        if node.op == "placeholder" and not held and value is not None:
            return str(value.shape[0])
    return None


def _per_sample(node: fx.Node, batch: str | None) -> bool:
    """Return whether a value has one row per sample and nothing else that depends on the batch."""
    value = traced(node)
    if value is None or value.ndim == 0:
        return False
    first, *rest = value.shape
    return str(first) == batch and all(isinstance(size, int) for size in rest)


def _needed(frontier: list[fx.Node]) -> set[fx.Node]:
    """Return all nodes that the frontier is computed from, itself included."""
    seen: set[fx.Node] = set()
    waiting = list(frontier)
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen.add(node)
            waiting += node.all_input_nodes
    return seen
