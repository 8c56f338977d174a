"""A graph in two: what is computed once per model, and what is left for every point.

The first part returns the values of a frontier (`hoist.py`) as a tuple; the second takes them as
further inputs. Parameters that only the first part reads need not be formed for a point.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.landscape.plans.cost import traced
from engine.program import InputSpec, Program
from engine.program.rewriting import copied_graph, program_over


@dataclass(frozen=True)
class Cut:
    """A Program in two parts.

    Attributes:
        first: inputs → one tensor per node of the frontier; None where nothing is cut off.
        rest: inputs and these tensors → outputs.
        hoisted: names of the placeholders of `rest` that take them.
    """

    first: Program | None
    rest: Program
    hoisted: tuple[str, ...]


def cut(program: Program, frontier: tuple[str, ...]) -> Cut:
    """Return a Program cut at some nodes.

    Args:
        program: the model.
        frontier: nodes whose values have one row per sample and else fixed sizes.
    """
    graph = copied_graph(program)
    nodes = {node.name: node for node in graph.nodes}
    next(node for node in graph.nodes if node.op == "output").args = (
        tuple(nodes[name] for name in frontier),
    )
    first = program_over(program, graph)
    graph = copied_graph(program)
    nodes = {node.name: node for node in graph.nodes}
    last = [node for node in graph.nodes if node.op == "placeholder"][-1]
    added, names = [], []
    for name in frontier:
        value = traced(nodes[name])
        assert value is not None  # the frontier holds tensors alone
        with graph.inserting_after(last):
            last = graph.placeholder(f"hoisted_{name}")
        last.meta["val"] = value
        nodes[name].replace_all_uses_with(last)
        added.append(InputSpec(last.name, tuple(map(int, value.shape[1:])), value.dtype, 0))
        names.append(last.name)
    return Cut(first, program_over(program, graph, tuple(added)), tuple(names))
