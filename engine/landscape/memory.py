"""How much memory an evaluation takes, read off the graph, and the batch size that keeps to it.

The stated bound: the K models of the span, one formed point, the data set (all three as large as
they are), and activations of at most `memory_bound` bytes. Activations are the tensors of the
graph that live at once: a value lives from its node to its last reader, views share the memory
of what they view, and while an op runs its inputs and outputs live together. A convolution is
counted with one more copy of its input and output, which libraries make to reorder the layout;
the loss with four copies in float64 of the outputs, or of the chunk of them that it widens at a
time (`loss.py`), beside the outputs themselves.
Other workspace inside an op's kernel is not known to the graph and not counted.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable

import torch
from torch import Tensor, fx

from engine.errors import LandscapeError
from engine.landscape.loss import CHUNK_BYTES
from engine.program import Program

MEMORY_BOUND = 2 << 30

# The fastest plain batch sizes measured on a two-core CPU: 500 for an MLP, 125 for a ResNet20.
BATCH = 500
BATCH_CONVOLUTION = 125

# Outputs as chosen, in float64, their log-softmax, and room for one more.
_LOSS_COPIES = 4
_CONVOLUTIONS = ("aten::conv", "aten::_convolution")


def choose_batch_size(
    program: Program,
    asked: int | None = None,
    *,
    memory_bound: int = MEMORY_BOUND,
    itemsize: int = 4,
    points: int = 1,
) -> int:
    """Return how many samples to run at a time, the same on every machine.

    Args:
        program: the model.
        asked: the size wanted; None takes the one that is usually fastest.
        memory_bound: most bytes of activations.
        itemsize: bytes of one floating point number.
        points: how many points are evaluated at a time.

    Raises:
        LandscapeError: the size is not positive, or one sample alone exceeds the bound.
    """
    if asked is not None and asked < 1:
        raise LandscapeError(f"A batch needs at least 1 sample; {asked} was asked.")
    nodes = program.graph_module.graph.nodes
    default = BATCH_CONVOLUTION if any(map(_is_convolution, nodes)) else BATCH
    size = asked or default
    while (needed := points * activation_bytes(program, size, itemsize)) > memory_bound:
        if size == 1:
            raise LandscapeError(
                f"One sample takes {needed / 2**20:.1f} MiB of activations, more than the bound "
                f"of {memory_bound / 2**20:.1f} MiB; raise the memory bound."
            )
        size = max(1, min(size - 1, int(size * memory_bound / needed)))
    return size


def points_at_once(
    program: Program,
    batch: int,
    *,
    models: int,
    memory_bound: int,
    stack_bytes: int,
    itemsize: int = 4,
) -> int:
    """Return how many points may be evaluated at once, 0 where not even one fits.

    Args:
        program: the model.
        batch: number of samples.
        models: K, which lie flat beside the points.
        memory_bound: most bytes of the activations of all points.
        stack_bytes: most bytes of the models and of the points' tensors, these three times: while
            they are formed, a model's share of all points and that share masked are there too.
        itemsize: bytes of one floating point number.
    """
    numbers = sum(math.prod(spec.shape) for spec in program.parameters.values())
    weights = max(1, numbers * itemsize)
    each = activation_bytes(program, batch, itemsize, stacked=True)
    fitting = (stack_bytes - models * weights) // (3 * weights)
    return max(0, min(fitting, memory_bound // each))


def activation_bytes(
    program: Program, batch: int, itemsize: int = 4, *, stacked: bool = False
) -> int:
    """Return the most bytes of intermediate values that live at once in a forward pass.

    Args:
        program: the model.
        batch: number of samples.
        itemsize: bytes of one floating point number in the evaluation.
        stacked: whether it is one of several points that are evaluated at once: any op may then
            copy what it reads and returns twice more, to bring the points' dimension elsewhere,
            and to do in steps what it does at once for one point (a norm, then its scale).
    """
    nodes = [node for node in program.graph_module.graph.nodes if node.op == "call_function"]
    owners = {node: _owner(node) for node in nodes}
    last: dict[fx.Node, int] = {}
    for step, node in enumerate(nodes):
        for read in (node, *node.all_input_nodes):
            if read in owners:
                last[owners[read]] = step
    live: dict[fx.Node, int] = {}
    peak = 0
    for step, node in enumerate(nodes):
        if owners[node] is node:
            live[node] = _bytes(node, batch, itemsize)
        workspace = 0
        if stacked or _is_convolution(node):
            workspace = (2 if stacked else 1) * sum(
                _bytes(n, batch, itemsize) for n in (node, *node.all_input_nodes[:1])
            )
        peak = max(peak, sum(live.values()) + workspace)
        live = {owner: size for owner, size in live.items() if last.get(owner, -1) > step}
    outputs, widened = (_output_bytes(program, batch, size) for size in (itemsize, 8))
    return max(peak, outputs + _LOSS_COPIES * min(widened, CHUNK_BYTES))


def _output_bytes(program: Program, batch: int, itemsize: int) -> int:
    """Return the bytes of the outputs in numbers of the given size."""
    output = next(node for node in program.graph_module.graph.nodes if node.op == "output")
    return sum(_bytes(node, batch, itemsize) for node in output.all_input_nodes)


def _owner(node: fx.Node) -> fx.Node:
    """Return the node whose memory a node's value uses: itself unless it is a view."""
    while _is_view(node) and node.all_input_nodes:
        node = node.all_input_nodes[0]
    return node


def _is_view(node: fx.Node) -> bool:
    if node.target is operator.getitem:
        return True
    if not isinstance(node.target, torch._ops.OpOverload):
        return False
    returns = node.target._schema.returns
    # Ops that sometimes copy (reshape, contiguous) are counted as copies.
    return bool(returns) and all(
        r.alias_info is not None and not r.alias_info.is_write for r in returns
    )


def _is_convolution(node: fx.Node) -> bool:
    target = node.target
    return isinstance(target, torch._ops.OpOverload) and target._schema.name.startswith(
        _CONVOLUTIONS
    )


def _bytes(node: fx.Node, batch: int, itemsize: int) -> int:
    value = node.meta.get("val")
    values: Iterable[object] = value if isinstance(value, list | tuple) else (value,)
    return sum(
        _elements(tensor, batch) * (itemsize if tensor.is_floating_point() else tensor.itemsize)
        for tensor in values
        if isinstance(tensor, Tensor)
    )


def _elements(tensor: Tensor, batch: int) -> int:
    """Return a traced tensor's number of elements for a batch of the given size."""
    total = 1
    for size in tensor.shape:
        total *= size if isinstance(size, int) else _at_batch(size, batch)
    return total


def _at_batch(size: torch.SymInt, batch: int) -> int:
    # The batch is the only symbol there is, alone or in a product such as batch · heads.
    expression = size.node.expr
    return int(expression.subs(dict.fromkeys(expression.free_symbols, batch)))
