"""Rewritten copies of a Program's graph: taps, batch statistics; and what is read off it."""

from __future__ import annotations

import copy
import hashlib
import operator
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, fx

from engine.program.spec import BatchNormSite

BATCH_NORM = torch.ops.aten.batch_norm.default


def digest(*texts: str) -> str:
    """Return the sha256 of some texts, hexadecimal."""
    sha = hashlib.sha256()
    for text in texts:
        sha.update(text.encode())
        sha.update(b"\0")
    return sha.hexdigest()


def fingerprint_of(
    graph: fx.Graph, placeholders: Mapping[str, str], constants: Mapping[str, Tensor]
) -> str:
    """Return the digest of an architecture: its graph, its names and its constants."""
    lines = []
    for node in graph.nodes:
        value = node.meta.get("val")
        sizes = value.shape if isinstance(value, Tensor) else ()
        shape = [size if isinstance(size, int) else "batch" for size in sizes]
        name = placeholders.get(node.name, "")
        lines.append(f"{node.op} {node.target} {node.args} {node.kwargs} {shape} {name}")
    for name, tensor in constants.items():
        content = tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes().hex()
        lines.append(f"{name} {tensor.dtype} {content}")
    return digest(*lines)


def batch_norm_sites(graph: fx.Graph, placeholders: Mapping[str, str]) -> tuple[BatchNormSite, ...]:
    """Return the graph's BatchNorms that normalise by running statistics, in order."""
    sites = []
    for node in graph.nodes:
        if node.target is not BATCH_NORM or not _has_statistics(node):
            continue
        names = [
            placeholders.get(argument.name) if argument else None for argument in node.args[1:5]
        ]
        sites.append(
            BatchNormSite(
                node=node.name,
                weight=names[0],
                bias=names[1],
                running_mean=str(names[2]),
                running_var=str(names[3]),
                channels=int(node.args[3].meta["val"].shape[0]),
                eps=float(node.args[7]),
            )
        )
    return tuple(sites)


def with_taps(graph_module: fx.GraphModule, names: Sequence[str]) -> fx.GraphModule:
    """Return a copy whose output is (output, (value of each named node, …))."""
    graph = _copy(graph_module)
    nodes = {node.name: node for node in graph.nodes}
    return _with_output(graph_module, graph, [nodes[name] for name in names])


def with_batch_statistics(graph_module: fx.GraphModule) -> fx.GraphModule:
    """Return a copy whose BatchNorms use their batch; it adds (mean, variance, count, …)."""
    graph = _copy(graph_module)
    statistics = []
    for node in list(graph.nodes):
        if node.target is not BATCH_NORM or not _has_statistics(node):
            continue
        x, weight, bias, *_ = node.args
        with graph.inserting_before(node):
            result = graph.call_function(_normalise_by_batch, (x, weight, bias, node.args[7]))
            parts = [graph.call_function(operator.getitem, (result, i)) for i in range(4)]
        node.replace_all_uses_with(parts[0])
        graph.erase_node(node)
        statistics += parts[1:]
    return _with_output(graph_module, graph, statistics)


def _normalise_by_batch(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor, int]:
    """Return x normalised per channel by its own batch: mean, unbiased variance, count."""
    mean, variance = x.new_zeros(x.shape[1]), x.new_zeros(x.shape[1])
    # With momentum 1 the running statistics become the batch's own, in torch's single pass.
    out = torch.nn.functional.batch_norm(x, mean, variance, weight, bias, True, 1.0, eps)
    return out, mean, variance, x.numel() // x.shape[1]


def _has_statistics(node: fx.Node) -> bool:
    return node.args[3] is not None and not node.args[5]


def _copy(graph_module: fx.GraphModule) -> fx.Graph:
    graph = fx.Graph()
    output = graph.graph_copy(graph_module.graph, {})
    graph.output(output)
    return graph


def _with_output(
    graph_module: fx.GraphModule, graph: fx.Graph, extra: Sequence[fx.Node]
) -> fx.GraphModule:
    output = next(node for node in graph.nodes if node.op == "output")
    output.args = ((output.args[0], tuple(extra)),)
    graph.lint()
    return fx.GraphModule(copy.copy(graph_module), graph)
