"""Rewrites an exported graph so that no op writes to its arguments.

`torch.export` keeps in-place ops (`relu_`, `+=`). Where the tensor written to has no views,
the op becomes its functional twin and later readers get the twin's result, which keeps the
high-level ops of the graph. Everything else (writes through slices, say) is left to torch's
own functionalisation, after which BatchNorm is put back to the one form that the rest of the
engine knows.
"""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import fx
from torch.export import ExportedProgram

MAYBE_VIEWS = frozenset({"reshape", "contiguous", "flatten", "to", "type_as"})
"""Ops that may hand back their argument although their schema does not say so."""

DROPOUTS = frozenset({"dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout"})


def functional(exported: ExportedProgram) -> ExportedProgram:
    """Return an exported program that computes the same without writing to any tensor."""
    graph = exported.graph_module.graph
    _drop_idle_dropout(graph)
    writing = [node for node in graph.nodes if writes(node)]
    if all(_rewrite(graph, node) for node in writing):
        exported.graph_module.recompile()
        return exported
    return decomposed(exported, {})


def decomposed(
    exported: ExportedProgram, table: dict[torch._ops.OperatorBase, Callable[..., Any]]
) -> ExportedProgram:
    """Return an exported program in which some ops are what functions make of their arguments.

    Nothing in it writes to any tensor.
    """
    with warnings.catch_warnings():
        # torch deep-copies its own deprecated tree specs here.
        warnings.simplefilter("ignore", FutureWarning)
        exported = exported.run_decompositions(table)
    _restore_batch_norm(exported.graph_module.graph)
    exported.graph_module.recompile()
    return exported


def _drop_idle_dropout(graph: fx.Graph) -> None:
    """Remove dropout in eval mode: it is its argument itself, memory included."""
    for node in list(graph.nodes):
        if not isinstance(node.target, torch._ops.OpOverload) or len(node.args) < 3:
            continue
        name = node.target._schema.name.removeprefix("aten::").removesuffix("_")
        if name in DROPOUTS and node.args[2] is False:
            node.replace_all_uses_with(node.args[0])
            graph.erase_node(node)


def writes(node: fx.Node) -> bool:
    """Return whether a node's op writes to one of its arguments."""
    return isinstance(node.target, torch._ops.OpOverload) and node.target._schema.is_mutable


def _rewrite(graph: fx.Graph, node: fx.Node) -> bool:
    """Replace one in-place node by its functional twin; False where that is not plain."""
    target, written = node.target, node.args[0] if node.args else None
    assert isinstance(target, torch._ops.OpOverload)
    packet = getattr(torch.ops.aten, target._schema.name.split("::")[1].removesuffix("_"), None)
    twin = getattr(packet, target._overloadname, None)
    if twin is None or twin._schema.is_mutable or not isinstance(written, fx.Node):
        return False
    if _is_view(written) or any(_is_view(user) for user in written.users):
        return False
    with graph.inserting_before(node):
        result = graph.call_function(twin, node.args, node.kwargs)
    result.meta.update(node.meta)
    node.replace_all_uses_with(result)
    graph.erase_node(node)
    seen = False
    for later in list(graph.nodes):
        if seen:
            later.replace_input_with(written, result)
        seen = seen or later is result
    return True


def _is_view(node: fx.Node) -> bool:
    """Return whether a node's result may share memory with an argument."""
    if node.target is operator.getitem:
        return True
    target = node.target
    if not isinstance(target, torch._ops.OpOverload):
        return False
    aliasing = any(
        r.alias_info is not None and not r.alias_info.is_write for r in target._schema.returns
    )
    return aliasing or target._schema.name.removeprefix("aten::") in MAYBE_VIEWS


def _restore_batch_norm(graph: fx.Graph) -> None:
    lowered = torch.ops.aten._native_batch_norm_legit_no_training.default
    for node in list(graph.nodes):
        if node.target is not lowered:
            continue
        x, weight, bias, mean, variance, momentum, eps = node.args
        arguments = (x, weight, bias, mean, variance, False, momentum, eps, True)
        with graph.inserting_before(node):
            norm = graph.call_function(torch.ops.aten.batch_norm.default, arguments)
        for user in list(node.users):
            norm.meta.update(user.meta)
            user.replace_all_uses_with(norm)
            graph.erase_node(user)
        graph.erase_node(node)
