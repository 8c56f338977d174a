"""An exported program as bytes of its own: what `Checkpoint.graph` holds and the shelf keeps.

One canonical JSON text with all that is needed to compute beside the weights: the graph, the
constants (in base64) and which weights are tied. It names no file, machine or source line, so
equal programs give equal bytes. It is checked again each time it is read.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from engine.checkpoints.admission import byte_size, check_name, check_shape, shown
from engine.checkpoints.limits import Limits
from engine.checkpoints.pt2.document import Entry, parse_document
from engine.checkpoints.pt2.graph import Graph, canonical, read_graph, trimmed
from engine.checkpoints.pt2.schema import DTYPE_CODES, dtype_of
from engine.errors import CheckpointError, LimitError

MOST_CONSTANT_BYTES = 32 << 20


@dataclass(frozen=True)
class Architecture:
    """What a `.pt2` says beside its weights.

    Args:
        graph: the graph; its bindings name tensors as the checkpoint does.
        constants: tensors that belong to the graph, by name.
        ties: names that hold the weight of another name: alias → name.
    """

    graph: Graph
    constants: Mapping[str, Tensor]
    ties: Mapping[str, str]


def pack_architecture(
    document: Entry,
    constants: Mapping[str, Tensor],
    ties: Mapping[str, str],
    names: Mapping[str, str],
) -> bytes:
    """Return the bytes of an architecture.

    Args:
        document: the parsed `model.json`, read without complaint.
        constants: by the names of the file.
        ties: by the names of the file.
        names: what the checkpoint calls each tensor of the file.

    Raises:
        LimitError: the constants are too large.
    """
    check_constants(sum(tensor.numel() * tensor.itemsize for tensor in constants.values()))
    kept = trimmed(document)
    kept["constants"] = {name: _pack(tensor) for name, tensor in constants.items()}
    kept["ties"] = {names[alias]: names[name] for alias, name in ties.items()}
    kept["names"] = {old: new for old, new in names.items() if old != new}
    return canonical(kept)


def check_constants(total: int) -> None:
    """Check that constants of `total` bytes are small enough to belong to a graph.

    Raises:
        LimitError: they are not.
    """
    if total > MOST_CONSTANT_BYTES:
        raise LimitError(
            f"its constants take {total:,} bytes, more than the limit of {MOST_CONSTANT_BYTES:,}; "
            "register them as persistent buffers"
        )


def unpack_architecture(data: bytes) -> Architecture:
    """Return the architecture in bytes of `pack_architecture`.

    Raises:
        CheckpointError: they are malformed.
    """
    document = parse_document(data, "the stored graph")
    graph = read_graph(document)
    names = _texts(document.entry("names"))
    bindings = tuple(
        replace(binding, tensor=names.get(binding.tensor, binding.tensor))
        if binding.persistent
        else binding
        for binding in graph.signature.bindings
    )
    graph = replace(graph, signature=replace(graph.signature, bindings=bindings))
    constants = {name: _unpack(name, entry) for name, entry in document.mapping("constants")}
    return Architecture(graph, constants, _texts(document.entry("ties")))


def _pack(tensor: Tensor) -> dict[str, Any]:
    data = tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    return {
        "dtype": DTYPE_CODES[tensor.dtype],
        "shape": list(tensor.shape),
        "data": base64.b64encode(data).decode("ascii"),
    }


def _unpack(name: str, entry: Entry) -> Tensor:
    limits = Limits()
    dtype = dtype_of(entry.whole("dtype"), f"constant {shown(name)}")
    shape = check_shape(check_name(name, limits), entry.items("shape"), limits)
    try:
        data = bytearray(base64.b64decode(entry.text("data"), validate=True))
    except (binascii.Error, ValueError) as error:
        raise CheckpointError(f"the constant {shown(name)} is damaged") from error
    if len(data) != byte_size(shape, dtype):
        raise CheckpointError(f"the constant {shown(name)} is damaged")
    if not data:
        return torch.empty(shape, dtype=dtype)
    return torch.frombuffer(data, dtype=dtype).reshape(shape)


def _texts(entry: Entry) -> dict[str, str]:
    return {key: entry.text(key) for key in entry.value}
