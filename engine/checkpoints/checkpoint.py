"""A checkpoint: named tensors, their fingerprint, and what was done to read them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from engine.errors import CaptureError, CheckpointError, ProofError, UnknownArchitectureError


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The tensors of one model.

    Args:
        tensors: By name after unwrapping; dense, contiguous, on the CPU. Read-only.
        sha256: `fingerprint(tensors, graph, config)`: equal for equal content whatever file held
            it.
        name: What the user calls it: a file name, or `org/name:file` on the Hub.
        format: "safetensors", "npz", "torch" or "pt2".
        notes: One sentence for each wrapping that was undone and each thing left aside.
        origin: Where it came from: for the Hub `repo`, `revision` (commit sha) and `file`.
        graph: The architecture, where the file carries it (a `.pt2`): canonical JSON that
            `engine.program.program_of` makes a Program of. None for weights alone.
        config: What the config.json beside the weights says (JSON values), where there is one
            that names its `model_type`. Read-only.
    """

    tensors: Mapping[str, Tensor]
    sha256: str
    name: str
    format: str
    notes: tuple[str, ...] = ()
    origin: Mapping[str, str] = field(default_factory=dict)
    graph: bytes | None = field(default=None, repr=False)
    config: Mapping[str, Any] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.config is not None:
            object.__setattr__(self, "config", MappingProxyType(dict(self.config)))
        object.__setattr__(self, "tensors", MappingProxyType(dict(self.tensors)))
        object.__setattr__(self, "origin", MappingProxyType(dict(self.origin)))


def fingerprint(
    tensors: Mapping[str, Tensor],
    graph: bytes | None = None,
    config: Mapping[str, Any] | None = None,
) -> str:
    """Return the sha256 over names, dtypes, shapes and bytes, in order of name.

    Args:
        tensors: Dense tensors by name; the order of the mapping does not matter.
        graph: The architecture that comes with them, if any.
        config: The config that comes with them, if any.

    Returns:
        64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        # JSON closes every field, so that no two descriptions share one byte sequence.
        description = json.dumps([name, str(tensor.dtype), list(tensor.shape)])
        digest.update(f"{description}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    if graph is not None:
        digest.update(graph)
    if config is not None:
        digest.update(f"config {json.dumps(dict(config), sort_keys=True)}".encode())
    return digest.hexdigest()


@contextmanager
def about(checkpoint: Checkpoint) -> Iterator[None]:
    """Begin messages about a model's weights with the checkpoint's name, keeping their kind."""
    try:
        yield
    except (CaptureError, CheckpointError, ProofError, UnknownArchitectureError) as error:
        if str(error).startswith(checkpoint.name):
            raise
        raise type(error)(f"{checkpoint.name}: {error}") from error
