"""What the inputs and outputs of an exported graph stand for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.checkpoints.admission import shown
from engine.checkpoints.pt2.document import Entry
from engine.checkpoints.pt2.values import Ref, read_value
from engine.errors import CheckpointError

PARAMETER, BUFFER, CONSTANT = "parameter", "buffer", "constant"
_TARGETS = {
    "parameter": (PARAMETER, "parameter_name"),
    "buffer": (BUFFER, "buffer_name"),
    "tensor_constant": (CONSTANT, "tensor_constant_name"),
}
_WRITES = {
    "buffer_mutation": "buffer_name",
    "parameter_mutation": "parameter_name",
    "user_input_mutation": "user_input_name",
}


@dataclass(frozen=True)
class Binding:
    """A value of the graph that a tensor of the file gives.

    Args:
        name: in the graph.
        kind: "parameter", "buffer" or "constant".
        tensor: the tensor's name in the file.
        persistent: whether a state dict holds it.
    """

    name: str
    kind: str
    tensor: str
    persistent: bool


@dataclass(frozen=True)
class Signature:
    """The graph's placeholders by what they stand for, in order, and its logits."""

    placeholders: tuple[str, ...]
    inputs: tuple[str, ...]
    bindings: tuple[Binding, ...]
    literals: Mapping[str, Any]
    output: Ref


def read_signature(module: Entry) -> Signature:
    """Return the signature of a `graph_module`.

    Raises:
        CheckpointError: it is malformed, or the graph takes, returns or writes to something that
            a pure function of tensors does not.
    """
    graph, signature = module.entry("graph"), module.entry("signature")
    placeholders: list[str] = []
    inputs: list[str] = []
    bindings: list[Binding] = []
    literals: dict[str, Any] = {}
    for spec in signature.entries("input_specs"):
        kind, value = spec.union()
        inner = Entry(value, f"{spec.place}.{kind}")
        if kind == "user_input":
            inputs.append(_tensor_input(inner))
            placeholders.append(inputs[-1])
        elif kind == "constant_input":
            name = inner.text("name")
            literals[name] = _literal(inner.entry("value"))
            placeholders.append(name)
        elif kind in _TARGETS:
            bindings.append(_binding(kind, inner))
            placeholders.append(bindings[-1].name)
        else:
            raise CheckpointError(f"its graph takes a {shown(kind)} as input, which is not read")
    _check_outputs(signature)
    output = _logits(module, list(graph.entries("outputs")))
    return Signature(tuple(placeholders), tuple(inputs), tuple(bindings), literals, output)


def _tensor_input(inner: Entry) -> str:
    value = read_value(inner.entry("arg"))
    kind, _ = inner.entry("arg").union()
    if kind != "as_tensor":
        raise CheckpointError(f"{inner.place} is no tensor; only tensors can be inputs")
    return value.name


def _literal(value: Entry) -> Any:
    kind, _ = value.union()
    if kind not in ("as_none", "as_int", "as_float", "as_string", "as_bool"):
        raise CheckpointError(f"{value.place} is no plain value")
    return read_value(value)


def _binding(kind: str, inner: Entry) -> Binding:
    meaning, key = _TARGETS[kind]
    name = inner.entry("arg").text("name")
    persistent = inner.flag("persistent") if kind == "buffer" else kind == "parameter"
    return Binding(name, meaning, inner.text(key), persistent)


def _check_outputs(signature: Entry) -> None:
    for spec in signature.entries("output_specs"):
        kind, value = spec.union()
        if kind in _WRITES:
            target = Entry(value, spec.place).text(_WRITES[kind])
            raise CheckpointError(
                f"its graph writes to {shown(target)}; export the module in eval mode, and without "
                "in-place changes of its inputs"
            )
        if kind != "user_output":
            raise CheckpointError(
                f"its graph returns a {shown(kind)}; export the forward alone, without a loss"
            )


def _logits(module: Entry, outputs: Sequence[Entry]) -> Ref:
    """Return the output that holds the logits: the first, or the one of that name."""
    if not outputs:
        raise CheckpointError("its graph returns nothing")
    index = _place_of_logits(module)
    value = read_value(outputs[index if index < len(outputs) else 0])
    if not isinstance(value, Ref):
        raise CheckpointError("its graph returns no tensor of logits")
    return value


def _place_of_logits(module: Entry) -> int:
    """Return where "logits" stands among the flat outputs of a mapping, 0 for anything else."""
    calls = list(module.entries("module_call_graph"))[:1]
    if not calls or not calls[0].has("signature"):
        return 0
    try:
        spec = json.loads(calls[0].entry("signature").text("out_spec"))[1]
        context = spec["context"]
        keys = json.loads(context) if isinstance(context, str) else context
        children = spec["children_spec"]
        if isinstance(keys, list) and keys and isinstance(keys[-1], list):
            keys = keys[-1]  # a mapping of a class of its own: [class, keys]
        before = children[: keys.index("logits")]
        return sum(_leaves(child) for child in before)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return 0


def _leaves(spec: Any) -> int:
    children = spec["children_spec"]
    if not children:
        return 0 if spec["type"] is not None else 1
    return sum(_leaves(child) for child in children)
