"""Copies of a Program's graph that show, or restore, the channels of its sites as they run."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, fx

from engine.program import Program
from engine.program.spec import ParameterSpec
from engine.program.variants import digest
from engine.repair.moments import Shown, normalised, observed, restored
from engine.repair.sites import Site

Run = Callable[..., tuple[Shown, ...]]


def mean_name(site: Site) -> str:
    """Return under which name a restoring Program reads what a site's mean shall be."""
    return f"target mean of {site.node}"


def std_name(site: Site) -> str:
    """Return under which name a restoring Program reads what a site's deviation shall be."""
    return f"target deviation of {site.node}"


def observing(program: Program, sites: Sequence[Site]) -> Run:
    """Return a function of (params, *inputs) that shows the sites' channels, in their order."""
    rewriting = _Rewriting(program)
    for site in sites:
        node = rewriting.nodes[site.node]
        with rewriting.graph.inserting_after(node):
            shown = rewriting.graph.call_function(observed, (node, site.axis))
        rewriting.shown.append(shown)
    return rewriting.run()


def restoring(program: Program, sites: Sequence[Site], *, shifting: bool, resetting: bool) -> Run:
    """Return a function that brings the sites' channels to their targets, batch by batch.

    It shows, first, what enters every BatchNorm, where these are reset, and then what every
    site's channels were before they were restored: every site sees inputs that are restored
    already. The targets are further parameters, `mean_name` and `std_name`.

    Args:
        program: the model.
        sites: whose channels are restored.
        shifting: restore means too, where a site has a bias.
        resetting: normalise BatchNorms by their batch.
    """
    rewriting = _Rewriting(program)
    if resetting:
        for norm in program.batch_norms:
            rewriting.normalise(norm.node)
    for site in sites:
        rewriting.restore(site, shifting and site.bias is not None)
    return rewriting.run()


class _Rewriting:
    """A copy of a graph in the making, and the values that it will show."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.graph = fx.Graph()
        self.graph.output(self.graph.graph_copy(program.graph_module.graph, {}))
        self.nodes = {node.name: node for node in self.graph.nodes}
        self.first = next(iter(self.graph.nodes))
        self.shown: list[fx.Node | tuple[fx.Node, ...]] = []
        self.placeholders: dict[str, str] = {}
        self.parameters: dict[str, ParameterSpec] = {}

    def normalise(self, name: str) -> None:
        node = self.nodes[name]
        x, weight, bias, *_ = node.args
        self.nodes[name] = self._replaced(node, normalised, (x, weight, bias, node.args[7]))

    def restore(self, site: Site, shifting: bool) -> None:
        node = self.nodes[site.node]
        mean = self._target(mean_name(site), site.channels) if shifting else None
        std = self._target(std_name(site), site.channels)
        with self.graph.inserting_after(node):
            # A stand-in keeps the layer's own node apart from those that read its output.
            read = self.graph.call_function(operator.pos, (node,))
        node.replace_all_uses_with(read, lambda user: user is not read)
        self._replaced(read, restored, (node, site.axis, mean, std))

    def run(self) -> Run:
        output = next(node for node in self.graph.nodes if node.op == "output")
        output.args = (tuple(self.shown),)
        # What only the logits need is not computed.
        self.graph.eliminate_dead_code()
        self.graph.lint()
        own = self.program
        rewritten = Program(
            fx.GraphModule(own.graph_module, self.graph),
            placeholders={**own.placeholders, **self.placeholders},
            parameters={**own.parameters, **self.parameters},
            constants=own.constants,
            inputs=own.inputs,
            aliases=own.aliases,
            fingerprint=digest(own.fingerprint, str(self.graph)),
        )

        def shows(params: Mapping[str, Tensor], *inputs: Tensor) -> tuple[Shown, ...]:
            return tuple(rewritten(params, *inputs))  # type: ignore[arg-type]

        return shows

    def _replaced(self, node: fx.Node, op: Callable[..., object], args: tuple) -> fx.Node:
        """Put an op that returns (value, mean, variance, count) in a node's place."""
        with self.graph.inserting_before(node):
            result = self.graph.call_function(op, args)
            parts = [self.graph.call_function(operator.getitem, (result, i)) for i in range(4)]
        node.replace_all_uses_with(parts[0])
        self.graph.erase_node(node)
        self.shown.append(tuple(parts[1:]))
        return parts[0]

    def _target(self, name: str, channels: int) -> fx.Node:
        with self.graph.inserting_before(self.first):
            node = self.graph.placeholder(f"target_{len(self.placeholders)}")
        node.meta["val"] = torch.empty(channels, device="meta")
        self.placeholders[node.name] = name
        self.parameters[name] = ParameterSpec((channels,), torch.float32, trainable=False)
        return node
