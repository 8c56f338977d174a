"""One `.pt2` gives an architecture and its weights."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from engine.checkpoints import Checkpoint, Limits, about, read_checkpoint
from engine.errors import CheckpointError
from engine.program.program import Program
from engine.program.pt2.build import build_exported

KEPT_PROGRAMS = 8
_kept: OrderedDict[str, Program] = OrderedDict()


def read_program(
    path: str | Path, *, limits: Limits | None = None
) -> tuple[Program, dict[str, Tensor]]:
    """Return the Program and the weights in a `.pt2` file; nothing of the file is run as code.

    Args:
        path: what `engine.save_program` or `torch.export.save` wrote.
        limits: the caps; `Limits()` unless given.

    Raises:
        UnsafeFileError: the file holds pickles or asks for operations that are not known.
        CheckpointError: it is no readable `.pt2`, with what to do.
        LimitError: it asks for more than the caps allow.
        CaptureError: it is no pure function of its weights and a batch of any size.
    """
    checkpoint = read_checkpoint(path, limits=limits)
    if checkpoint.graph is None:
        raise CheckpointError(
            f"{checkpoint.name}: it holds weights alone, without a graph; write a .pt2 with "
            "engine.save_program(module, example_inputs, path)"
        )
    return program_of(checkpoint), dict(checkpoint.tensors)


def program_of(checkpoint: Checkpoint) -> Program:
    """Return the Program of a checkpoint that carries its graph; the last few are kept.

    Raises:
        BasinscopeError: as `read_program`; the text begins with the checkpoint's name.
    """
    if checkpoint.graph is None:
        raise CheckpointError(f"{checkpoint.name}: it holds weights alone, without a graph")
    key = checkpoint.sha256 or _of_headers(checkpoint.graph, checkpoint.tensors)
    if key not in _kept:
        with about(checkpoint):
            _kept[key] = build_exported(checkpoint.graph, checkpoint.tensors)
        while len(_kept) > KEPT_PROGRAMS:
            _kept.popitem(last=False)
    _kept.move_to_end(key)
    return _kept[key]


def _of_headers(graph: bytes, tensors: Mapping[str, Tensor]) -> str:
    """Return a key for a file of which headers alone were read, and no value to fingerprint."""
    shapes = [(name, list(tensor.shape), str(tensor.dtype)) for name, tensor in tensors.items()]
    return hashlib.sha256(graph + repr(shapes).encode()).hexdigest()
