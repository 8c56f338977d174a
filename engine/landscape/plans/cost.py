"""What a node of a graph costs: multiplications and additions, and numbers per sample.

Read off the traced shapes, for one sample. Only products of matrices and convolutions count;
everything else costs by the memory it moves.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, fx

_LAST = frozenset({"linear", "matmul", "mm", "bmm"})
_CONVOLUTIONS = frozenset({"conv1d", "conv2d", "conv3d"})


def op_name(node: fx.Node) -> str:
    """Return the name of a node's ATen op, without overload; empty for anything else."""
    target = node.target
    if node.op != "call_function" or not isinstance(target, torch._ops.OpOverload):
        return ""
    return target._schema.name.removeprefix("aten::")


def traced(node: object) -> Tensor | None:
    """Return the tensor that a node held when it was traced, None where it held none."""
    value = node.meta.get("val") if isinstance(node, fx.Node) else None
    return value if isinstance(value, Tensor) else None


def elements(tensor: Tensor) -> int:
    """Return how many numbers a traced tensor holds for a batch of one sample."""
    return math.prod(map(_at_one, tensor.shape))


def operations(node: fx.Node) -> int:
    """Return the multiplications and additions of a node for one sample, 0 where not counted."""
    name, value = op_name(node), traced(node)
    if value is None:
        return 0
    if name in _CONVOLUTIONS:
        weight = traced(node.args[1])
        return 0 if weight is None else 2 * elements(value) * math.prod(map(int, weight.shape[1:]))
    if name in _LAST or name == "addmm":
        first = traced(node.args[1 if name == "addmm" else 0])
        return 0 if first is None else 2 * elements(value) * _at_one(first.shape[-1])
    return 0


def _at_one(size: int | torch.SymInt) -> int:
    if isinstance(size, int):
        return size
    expression = size.node.expr
    return int(expression.subs(dict.fromkeys(expression.free_symbols, 1)))
