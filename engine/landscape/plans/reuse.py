"""Pointwise ops that write their result over an operand that nobody else will read.

A ReLU into new memory moves three times the bytes of one in place (the fresh pages are written
twice). Only memory that an op of the graph itself made is written to: outputs of layers, norms
and of other pointwise ops, and the combined values of a cut, never parameters, inputs or views.
Results are the same bit for bit.
"""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import fx

from engine.landscape.plans.cost import op_name, traced
from engine.program import Program
from engine.program.rewriting import copied_graph, program_over

_TWINS = {
    getattr(torch.ops.aten, name).default: getattr(torch.ops.aten, f"{name}_").default
    for name in (
        "relu",
        "silu",
        "gelu",
        "hardswish",
        "hardsigmoid",
        "leaky_relu",
        "sigmoid",
        "tanh",
    )
}
_ADD, _ADD_IN_PLACE = torch.ops.aten.add.Tensor, torch.ops.aten.add_.Tensor
_MAKERS = frozenset({"conv1d", "conv2d", "conv3d", "linear", "batch_norm", "add"}) | {
    twin._schema.name.removeprefix("aten::").removesuffix("_") for twin in _TWINS.values()
}


def reusing(program: Program, owned: Collection[str] = ()) -> Program:
    """Return a Program whose pointwise ops reuse memory where they may.

    Args:
        program: the model, or the second part of a cut one.
        owned: placeholders whose memory the graph may write to.
    """
    graph = copied_graph(program)
    for node in graph.nodes:
        if node.target in _TWINS and _may_take(node.args[0], node, owned):
            node.target = _TWINS[node.target]
        elif node.target is _ADD and not node.kwargs and len(node.args) == 2:
            a, b = node.args
            if _may_take(a, node, owned) and isinstance(b, fx.Node):
                node.target = _ADD_IN_PLACE
            elif _may_take(b, node, owned) and isinstance(a, fx.Node):
                node.target, node.args = _ADD_IN_PLACE, (b, a)
    return program_over(program, graph)


def _may_take(operand: object, node: fx.Node, owned: Collection[str]) -> bool:
    """Return whether a node may write its result over an operand."""
    if not isinstance(operand, fx.Node) or len(operand.users) != 1:
        return False
    # `add` of a tensor to itself reads it twice but has one user.
    if sum(source is operand for source in node.args) != 1:
        return False
    name = op_name(operand).removesuffix("_")
    if name not in _MAKERS and operand.name not in owned:
        return False
    before, after = traced(operand), traced(node)
    if before is None or after is None or before.dtype != after.dtype:
        return False
    return tuple(map(str, before.shape)) == tuple(map(str, after.shape))
