"""Reading a checkpoint of any format: detect, check, read, unwrap, fingerprint.

This is the boundary that knows the file's name, so every message begins with it here.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from torch import Tensor

from engine.checkpoints.admission import shown
from engine.checkpoints.checkpoint import Checkpoint, fingerprint
from engine.checkpoints.formats import Format, detect_format
from engine.checkpoints.limits import Limits
from engine.checkpoints.names import own_names, unwrap
from engine.checkpoints.npz_file import read_npz
from engine.checkpoints.pt2 import ExportedFile, pack_architecture, read_archive
from engine.checkpoints.safetensors_file import read_metadata, read_safetensors
from engine.checkpoints.stated import stated_config
from engine.checkpoints.torch_file import read_torch_flat, read_torch_zip
from engine.errors import CheckpointError


def read_checkpoint(
    path: str | Path,
    *,
    name: str | None = None,
    limits: Limits | None = None,
    config: Mapping[str, Any] | None = None,
) -> Checkpoint:
    """Return the checkpoint in a file.

    Args:
        path: A `.safetensors`, `.npz`, `torch.save` or `.pt2` file, whatever its extension.
        name: What messages and results call it; the file's own name unless given.
        limits: The caps; `Limits()` unless given.
        config: What the config.json beside it says; kept with the tensors. Without one, what
            the file states of itself (`stated.py`).

    Raises:
        UnsafeFileError: Reading it would run code of its author.
        LimitError: It declares more than `limits` allow.
        CheckpointError: It is no readable checkpoint; the text says what it is.
    """
    path = Path(path)
    name = path.name if name is None else name
    with opened(path, name) as (file, size):
        return _read(file, size, path, name, limits or Limits(), config)


def read_checkpoint_bytes(data: bytes, name: str, *, limits: Limits | None = None) -> Checkpoint:
    """Return the checkpoint held in memory; errors are those of `read_checkpoint`.

    Args:
        data: The whole file.
        name: What messages and results call it.
        limits: The caps; `Limits()` unless given.
    """
    with _named(name):
        return _read(io.BytesIO(data), len(data), None, name, limits or Limits())


def _read(
    file: BinaryIO,
    size: int,
    path: Path | None,
    name: str,
    limits: Limits,
    config: Mapping[str, Any] | None = None,
) -> Checkpoint:
    kind = detect_format(file, size)
    limits.check_total(size - limits.header_bytes, "beyond its header it takes")
    content: Any
    match kind:
        case Format.PT2:
            return _read_exported(file, size, name, limits)
        case Format.SAFETENSORS:
            content = read_safetensors(file, size, path, limits)
            if config is None:
                config = stated_config(read_metadata(file, size, limits))
        case Format.NPZ:
            content = read_npz(file, size, limits)
        case Format.TORCH_ZIP:
            content = read_torch_zip(file, size, limits)
        case Format.TORCH_FLAT:
            content = read_torch_flat(file, size, limits)
    tensors, notes = unwrap(content, limits)
    sha256 = fingerprint(tensors, config=config)
    return Checkpoint(tensors, sha256, name, kind.title, notes, config=config)


def _read_exported(file: BinaryIO, size: int, name: str, limits: Limits) -> Checkpoint:
    """Return the weights of a `.pt2` with the graph that computes with them."""
    tensors, notes, graph = exported_parts(read_archive(file, size, limits))
    return Checkpoint(
        tensors, fingerprint(tensors, graph), name, Format.PT2.title, notes, {}, graph
    )


def exported_parts(exported: ExportedFile) -> tuple[dict[str, Tensor], tuple[str, ...], bytes]:
    """Return a `.pt2`'s tensors by their own names, what was done to them, and its graph."""
    old = {id(tensor): key for key, tensor in exported.tensors.items()}
    tensors, notes = own_names(dict(exported.tensors), lightning=False)
    names = {old[id(tensor)]: key for key, tensor in tensors.items()}
    if len(names) != len(old):  # a part that the graph reads would be left aside
        tensors, names, notes = dict(exported.tensors), {key: key for key in old.values()}, ()
    graph = pack_architecture(exported.document, exported.constants, exported.ties, names)
    return tensors, (*exported.graph.notes, *notes), graph


@contextmanager
def opened(path: Path, name: str) -> Iterator[tuple[BinaryIO, int]]:
    """Yield a file and its size; every message about it begins with its name.

    Raises:
        CheckpointError: It is none that can be opened.
    """
    with _named(name):
        if path.is_dir():
            raise CheckpointError("it is a folder; name the file with the weights inside it")
        if path.exists() and not path.is_file():
            raise CheckpointError("it is no regular file")
        try:
            with path.open("rb") as file:
                yield file, path.stat().st_size
        except FileNotFoundError as error:
            raise CheckpointError("there is no such file") from error
        except OSError as error:
            raise CheckpointError(f"it cannot be read ({error.strerror or error})") from error


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Begin every message with the file's name, keeping its kind of error."""
    try:
        yield
    except CheckpointError as error:
        label = name if name.isprintable() else shown(name)
        raise type(error)(f"{label}: {error}") from error
