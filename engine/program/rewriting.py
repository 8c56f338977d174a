"""A Program over a rewritten copy of another's graph: the hook for plans that compute faster.

A rewriting may change nodes, add inputs, leave out parameters, and return several values; names
of parameters and constants stay, by the names of their placeholders.
"""

from __future__ import annotations

from torch import fx

from engine.program.program import Program
from engine.program.spec import InputSpec
from engine.program.variants import digest


def copied_graph(program: Program) -> fx.Graph:
    """Return a copy of a Program's graph, node names and traced values kept."""
    graph = fx.Graph()
    graph.output(graph.graph_copy(program.graph_module.graph, {}))
    return graph


def program_over(program: Program, graph: fx.Graph, added: tuple[InputSpec, ...] = ()) -> Program:
    """Return a Program that runs a rewritten copy of `program`'s graph.

    Args:
        program: whose parameters, constants and inputs the graph's placeholders are.
        graph: from `copied_graph`, rewritten; what no longer reaches its output is removed,
            parameters and constants included. Inputs stay, used or not.
        added: further inputs, whose placeholders come after all others.
    """
    graph.eliminate_dead_code()
    for node in list(graph.nodes):
        held = node.name in program.placeholders or node.name in program.constants
        if node.op == "placeholder" and held and not node.users:
            graph.erase_node(node)
    graph.lint()
    kept = {node.name for node in graph.nodes if node.op == "placeholder"}
    placeholders = {node: name for node, name in program.placeholders.items() if node in kept}
    names = set(placeholders.values())
    lines = [f"{node.op} {node.target} {node.args} {node.kwargs}" for node in graph.nodes]
    return Program(
        fx.GraphModule(program.graph_module, graph),
        placeholders=placeholders,
        parameters={n: spec for n, spec in program.parameters.items() if n in names},
        constants={n: value for n, value in program.constants.items() if n in kept},
        inputs=program.inputs + added,
        aliases={alias: name for alias, name in program.aliases.items() if name in names},
        fingerprint=digest(program.fingerprint, *lines),
    )
