"""The weight of a convolution in groups as a stack of weights, one per group.

Such a convolution is one convolution per group, each on its stretch of the channels. Where the
channels are no product of groups and channels, since a shuffle has dealt them out, each of these
weights gets axes of its own: what permutes the inputs of one group need not permute those of
another. The order of the groups is given up.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import torch
from torch import fx

from engine.program import Program
from engine.symmetry.axes import Expression

CONVOLUTIONS = frozenset(("conv1d", "conv2d", "conv3d", "convolution", "_convolution"))


@dataclass(frozen=True)
class Held:
    """A parameter, or the part of it that stands in some of its rows, and its axes."""

    name: str
    axes: tuple[Expression, ...]
    rows: tuple[int, int] | None = None
    """Start and end along the first axis; None for the whole parameter."""


def stacked_weights(program: Program) -> dict[str, int]:
    """Return the weights that convolutions in groups alone read: name → number of groups.

    Depthwise convolutions are left out: their channels need no more than the ordinary rule.
    """
    held = Counter(program.placeholders.values())
    found = {}
    for node in program.graph_module.graph.nodes:
        weight, groups = _weight_in_groups(node)
        name = program.placeholders.get(weight.name) if weight is not None else None
        if name is not None and held[name] == 1:
            found[name] = groups
    return found


def _weight_in_groups(node: fx.Node) -> tuple[fx.Node | None, int]:
    """Return the weight of a convolution in groups, if nothing else reads it, and their number."""
    target = node.target
    if not isinstance(target, torch._ops.OpOverload):
        return None, 1
    if target._schema.name.removeprefix("aten::") not in CONVOLUTIONS:
        return None, 1
    given = {argument.name: argument.default_value for argument in target._schema.arguments}
    given |= dict(zip(given, node.args, strict=False)) | node.kwargs
    weight, groups = given["weight"], given["groups"]
    if not isinstance(weight, fx.Node) or not isinstance(groups, int) or groups < 2:
        return None, 1
    alone = node.all_input_nodes.count(weight) == 1 and list(weight.users) == [node]
    depthwise = weight.meta["val"].shape[1] == 1
    if not alone or depthwise or given.get("transposed"):
        return None, 1
    return weight, groups
