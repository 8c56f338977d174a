"""A graph as it runs in another precision, or on another device, than it was traced in.

Tracing writes down the precision and the device of every cast and of every tensor that the
forward makes (`hidden.float()`, `torch.ones(n)`). Read literally, a graph traced in float32 on a
CPU runs nowhere else. What is meant is the precision and the device of the parameters.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, fx
from torch.fx.node import Argument, map_aggregate


def placed(
    graph_module: fx.GraphModule, dtype: torch.dtype | None, device: torch.device
) -> fx.GraphModule:
    """Return a copy whose casts and new tensors are of a precision and on a device.

    Args:
        graph_module: the graph.
        dtype: replaces every floating precision; None leaves them.
        device: replaces every device.

    Returns:
        The graph itself where nothing in it says otherwise.
    """
    graph = fx.Graph()
    graph.output(graph.graph_copy(graph_module.graph, {}))
    replace = _replacement(dtype, device)
    changed = False
    for node in graph.nodes:
        args, kwargs = map_aggregate(node.args, replace), map_aggregate(node.kwargs, replace)
        if dtype is not None and _makes_default_precision(node):
            kwargs = {**kwargs, "dtype": dtype}
        changed = changed or (args, kwargs) != (node.args, node.kwargs)
        node.args, node.kwargs = args, kwargs
    return fx.GraphModule(graph_module, graph) if changed else graph_module


def drop_trace_checks(graph: fx.Graph) -> None:
    """Remove assertions that a tensor has the precision and device of the trace."""
    for node in list(graph.nodes):
        if node.target is torch.ops.aten._assert_tensor_metadata.default:
            graph.erase_node(node)


def _replacement(dtype: torch.dtype | None, device: torch.device) -> Callable[[Argument], Argument]:
    def replace(argument: Argument) -> Argument:
        if isinstance(argument, torch.device):
            return device
        floating = isinstance(argument, torch.dtype) and argument.is_floating_point
        return dtype if floating and dtype is not None else argument

    return replace


def _makes_default_precision(node: fx.Node) -> bool:
    """Return whether a node makes a floating tensor from no other, naming no precision."""
    value = node.meta.get("val")
    if not isinstance(value, Tensor) or not value.is_floating_point():
        return False
    if not isinstance(node.target, torch._ops.OpOverload) or node.kwargs.get("dtype") is not None:
        return False
    if any(isinstance(source.meta.get("val"), Tensor) for source in node.all_input_nodes):
        return False
    arguments = node.target._schema.arguments
    return any(a.name == "dtype" and a.kwarg_only for a in arguments)
