"""Memory layouts: `channels_last` for convolutions on a CPU, and graphs that take any.

Pixel by pixel, all channels of one together: the layout in which the CPU's convolutions multiply
without reordering first. What follows (norms, pooling, pointwise ops) keeps it. Numbers differ by
rounding only. Graphs that read strides are left alone; a `view` that strides would forbid becomes
a `reshape`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from engine.landscape.plans.cost import op_name, traced
from engine.program import Program
from engine.program.rewriting import copied_graph, program_over

_READS_STRIDES = frozenset({"as_strided", "view_as_complex", "view_as_real", "_unsafe_view"})


def channel_weights(program: Program) -> frozenset[str]:
    """Return the 2D convolutions' weights by name; empty where the layout does not apply."""
    names = set()
    for node in program.graph_module.graph.nodes:
        if op_name(node) in _READS_STRIDES:
            return frozenset()
        if op_name(node) == "conv2d" and (weight := node.args[1]) is not None:
            value = traced(weight)
            if value is not None and value.ndim == 4 and weight.name in program.placeholders:
                names.add(program.placeholders[weight.name])
    return frozenset(names)


def without_views(program: Program) -> Program:
    """Return a Program that reshapes where it viewed, since values may be laid out otherwise.

    A reshape is a view wherever one is possible.
    """
    graph = copied_graph(program)
    for node in graph.nodes:
        if node.target is torch.ops.aten.view.default:
            node.target = torch.ops.aten.reshape.default
    return program_over(program, graph)


def channels_last(tensor: Tensor) -> Tensor:
    """Return a batch of images in that layout; anything else as it is."""
    if tensor.ndim != 4 or not tensor.is_floating_point():
        return tensor
    return tensor.contiguous(memory_format=torch.channels_last)
