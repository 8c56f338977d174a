"""A program's graph as plain values: inputs, steps and the one output, found to be in order.

Read from the JSON of `torch.export.save` (schema 8), of which only what says how to compute is
used: the sizes that a file claims of its values are computed anew later. Nothing is run here, and
no operation is looked up.
Not handled: subgraphs (`cond`, `map`), custom classes and operators, graphs that write to their
inputs or weights, and inputs that are no tensors.
"""

from __future__ import annotations

import json
import keyword
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch

from engine.checkpoints.admission import shown
from engine.checkpoints.pt2.document import Entry
from engine.checkpoints.pt2.schema import STRIDED, dtype_of
from engine.checkpoints.pt2.signature import Signature, read_signature
from engine.checkpoints.pt2.steps import Step, check_identifier, read_step
from engine.checkpoints.pt2.values import Ref, read_value, references
from engine.errors import CheckpointError, LimitError

MOST_STEPS = 50_000
_RESERVED = frozenset({"self", "torch", "device", "inf", "nan", "NoneType", "pytree", "fx_pytree"})
"""Names that mean something else in code that torch writes for a graph."""

BATCH_LINE = (
    "export it with a batch of any size: engine.save_program(module, example_inputs, path), or "
    "torch.export.export(module.eval(), (x,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))"
)


@dataclass(frozen=True)
class GraphInput:
    """One input: its name, dtype, and the shape of one sample."""

    name: str
    dtype: torch.dtype
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Graph:
    """What a program computes.

    Args:
        inputs: what a caller gives, in order.
        signature: which further values stand for weights and constants.
        steps: the operations, each after what it reads.
        output: the value that is returned: the logits.
        notes: one sentence for each thing that was settled.
    """

    inputs: tuple[GraphInput, ...]
    signature: Signature
    steps: tuple[Step, ...]
    output: Ref
    notes: tuple[str, ...] = ()

    @property
    def literals(self) -> Mapping[str, Any]:
        """Arguments of the forward that were no tensors, by name."""
        return MappingProxyType(dict(self.signature.literals))


def read_graph(document: Entry) -> Graph:
    """Return the graph of a parsed `model.json`.

    Raises:
        CheckpointError: it is malformed, out of order, or beyond what is read here.
        LimitError: it has more steps than the cap.
    """
    module = document.entry("graph_module")
    graph = module.entry("graph")
    if graph.has("custom_obj_values") and graph.entry("custom_obj_values").value:
        raise CheckpointError("its graph holds objects of custom classes, which are not read")
    signature = read_signature(module)
    claims = dict(graph.mapping("tensor_values"))
    notes: list[str] = []
    inputs = tuple(_input(name, claims, notes) for name in signature.inputs)
    if not inputs:
        raise CheckpointError("its graph takes no tensor as input")
    if len(graph.items("nodes")) > MOST_STEPS:
        raise LimitError(
            f"its graph has {len(graph.items('nodes')):,} nodes, more than the limit of "
            f"{MOST_STEPS:,}"
        )
    steps = tuple(read_step(node) for node in graph.entries("nodes"))
    _check_order(graph, signature, steps)
    computing = tuple(step for step in steps if step.produced)
    return Graph(inputs, signature, computing, signature.output, tuple(notes))


def trimmed(document: Entry) -> dict[str, Any]:
    """Return the parts of a read document that `read_graph` reads.

    Without the traces of sources, and without what differs from one export to the next: the
    size of the example batch and the names of symbols.
    """
    module, version = document.entry("graph_module"), document.entry("schema_version")
    graph, signature = module.entry("graph").value, read_signature(module)
    nodes = [
        {key: node[key] for key in ("target", "inputs", "outputs", "name") if key in node}
        for node in graph["nodes"]
    ]
    claims = dict(module.entry("graph").mapping("tensor_values"))
    outer = module.items("module_call_graph")[:1]
    return {
        "schema_version": version.value,
        "graph_module": {
            "graph": {
                "inputs": graph["inputs"],
                "outputs": graph["outputs"],
                "nodes": nodes,
                "tensor_values": {name: _settled(claims[name]) for name in signature.inputs},
            },
            "signature": module.value["signature"],
            "module_call_graph": outer,
        },
    }


def _settled(claim: Entry) -> dict[str, Any]:
    """Return an input's description with all sizes but the batch's settled."""
    _, *rest = (_size(size)[0] for size in claim.entries("sizes"))
    batch = {"as_expr": {"expr_str": "batch", "hint": {"as_int": 2}}}
    sizes = [batch, *({"as_int": size} for size in rest)]
    return {"dtype": claim.whole("dtype"), "layout": STRIDED, "sizes": sizes}


def canonical(value: Mapping[str, Any]) -> bytes:
    """Return the JSON text that does not depend on the order of keys."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _input(name: str, claims: Mapping[str, Entry], notes: list[str]) -> GraphInput:
    """Return one input; its first dimension must be free, the others get a size."""
    if name not in claims:
        raise CheckpointError(f"its input {shown(name)} has no description")
    claim = claims[name]
    if claim.whole("layout") != STRIDED:
        raise CheckpointError(f"its input {name} is not dense")
    dtype = dtype_of(claim.whole("dtype"), f"its input {name}")
    sizes = [_size(size) for size in claim.entries("sizes")]
    if not sizes:
        raise CheckpointError(f"its input {name} has no dimension for the batch")
    (batch, is_free), rest = sizes[0], sizes[1:]
    if not is_free:
        raise CheckpointError(f"its batch is fixed at {batch} samples (input {name}); {BATCH_LINE}")
    for place, (size, free) in enumerate(rest, 1):
        if free:
            notes.append(
                f"The input {name} may vary in dimension {place}; the size of the export, {size}, "
                "is used."
            )
    return GraphInput(name, dtype, tuple(size for size, _ in rest))


def _size(size: Entry) -> tuple[int, bool]:
    """Return a size and whether it may vary; one that may is as large as in the export."""
    kind, value = size.union()
    free = kind == "as_expr"
    if free:
        expression = Entry(value, f"{size.place}.as_expr")
        if not expression.has("hint"):
            raise CheckpointError(f"{size.place} is a size that depends on values in the data")
        kind, value = expression.entry("hint").union()
    if kind != "as_int":
        raise CheckpointError(f"{size.place} is no size")
    number = Entry.whole_number(value, size.place)
    if number < 0:
        raise CheckpointError(f"{size.place} is the negative size {number}")
    return number, free


def _check_order(graph: Entry, signature: Signature, steps: tuple[Step, ...]) -> None:
    """Check that every name is given once, and before it is read."""
    known: set[str] = set()
    placeholders = signature.placeholders
    for name in placeholders:
        _introduce(name, known)
    for name in signature.inputs:
        if keyword.iskeyword(name) or name in _RESERVED:
            raise CheckpointError(f"its input {shown(name)} has a name with another meaning")
    later = {name for step in steps for name in step.produced}
    for step in steps:
        for ref in references(tuple(value for _, value, _ in step.arguments)):
            if ref.name not in known:
                why = "before it is computed" if ref.name in later else "which nothing computes"
                raise CheckpointError(f"its node {step.name} reads {shown(ref.name)}, {why}")
        for name in step.produced:
            _introduce(name, known)
    if signature.output.name not in known:
        raise CheckpointError(f"its output {shown(signature.output.name)} is not computed")
    given = [read_value(argument) for argument in graph.entries("inputs")]
    named = [Ref(n) if n not in signature.literals else signature.literals[n] for n in placeholders]
    if given != named:
        raise CheckpointError("the inputs of its graph are not those of its signature")


def _introduce(name: str, known: set[str]) -> None:
    check_identifier(name)
    if name in known:
        raise CheckpointError(f"its graph gives the name {shown(name)} twice")
    known.add(name)
