"""What a Program's graph is, in numbers and shapes: its operations, inputs and output."""

from __future__ import annotations

from collections import Counter

import torch
from torch import Tensor, fx

from engine.program import Program

_PASSIVE = frozenset({"getitem", "sym_size", "detach", "alias", "contiguous", "clone", "dropout"})
"""Steps of the tracer's own, which compute nothing in eval mode."""


def graph_facts(program: Program) -> dict[str, object]:
    """Return `operations` (name → how often), `inputs` and `output`.

    Shapes are those of one sample; None stands for a size that is not fixed.
    """
    nodes = program.graph_module.graph.nodes
    counted = Counter(_name(node) for node in nodes if node.op == "call_function")
    (output,) = (node for node in nodes if node.op == "output")
    return {
        "operations": {name: n for name, n in sorted(counted.items()) if name not in _PASSIVE},
        "inputs": [
            {"name": spec.name, "shape": list(spec.shape), "dtype": str(spec.dtype)[6:]}
            for spec in program.inputs
        ],
        "output": _described(output.args[0].meta.get("val")),
    }


def _described(value: object) -> dict[str, object] | None:
    if not isinstance(value, Tensor):
        return None
    shape = [size if isinstance(size, int) else None for size in value.shape[1:]]
    return {"shape": shape, "dtype": str(value.dtype)[6:]}


def _name(node: fx.Node) -> str:
    if isinstance(node.target, torch._ops.OpOverload):
        return node.target._schema.name.rpartition("::")[2]
    return getattr(node.target, "__name__", str(node.target))
