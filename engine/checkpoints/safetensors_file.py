"""Reading `.safetensors`: our own look at the header first, the safetensors library second.

The format is 8 bytes of header length, a JSON header, then the tensors' bytes back to back
(https://github.com/huggingface/safetensors#format). The library checks most of this too; it
is done here before it, under this program's caps and with messages for its users.
Not handled: sharded checkpoints, which `formats` recognises by their index file.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load as load_bytes
from torch import Tensor

from engine.checkpoints.admission import (
    SAFETENSORS_DTYPES,
    byte_size,
    check_name,
    check_shape,
    dtype_refused,
    reason,
    shown,
)
from engine.checkpoints.limits import Limits
from engine.errors import CheckpointError

_FIELDS = {"dtype", "shape", "data_offsets"}


def read_safetensors(
    file: BinaryIO, size: int, path: Path | None, limits: Limits
) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file.

    Args:
        file: The opened file, seekable.
        size: Its length in bytes.
        path: Where it lies, or None when it is held in memory.
        limits: The caps.

    Raises:
        CheckpointError: The header or the library finds the file malformed.
        LimitError: It declares more than the caps allow.
    """
    header, data_start = read_header(file, size, limits)
    check_cover(check_entries(header, limits), size - data_start, limits)
    try:
        if path is None:
            file.seek(0)
            return load_bytes(file.read())
        with safe_open(path, framework="pt") as opened:
            # Clones: a view into a mapped file would change or fault when the file does.
            return {name: opened.get_tensor(name).clone() for name in header}
    except (SafetensorError, RuntimeError, ValueError) as error:
        raise CheckpointError(f"the safetensors library refuses it: {reason(error)}") from error


def read_header(file: BinaryIO, size: int, limits: Limits) -> tuple[dict[str, object], int]:
    """Return the header without its metadata, and where the tensors' bytes begin."""
    header, _, start = _parsed(file, size, limits)
    return header, start


def read_metadata(file: BinaryIO, size: int, limits: Limits) -> dict[str, str]:
    """Return the text that the header keeps beside the tensors."""
    return _parsed(file, size, limits)[1]


def _parsed(
    file: BinaryIO, size: int, limits: Limits
) -> tuple[dict[str, object], dict[str, str], int]:
    file.seek(0)
    (length,) = struct.unpack("<Q", file.read(8))
    limits.check_header(length, "header")
    if 8 + length > size:
        raise CheckpointError(
            f"it is cut off inside its header: {8 + length:,} bytes are announced, {size:,} are "
            "there; copy or download it again"
        )
    try:
        header = json.loads(file.read(length), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"its header is no valid JSON ({reason(error)})") from error
    if not isinstance(header, dict):
        raise CheckpointError("its header is no JSON object")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise CheckpointError("its __metadata__ is no mapping from text to text")
    return header, metadata, 8 + length


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return a JSON object, refusing a key that occurs twice."""
    result: dict[str, object] = {}
    for key, value in pairs:
        if key in result:
            raise CheckpointError(f"its header names {shown(key)} twice")
        result[key] = value
    return result


def check_entries(header: Mapping[str, object], limits: Limits) -> list[tuple[int, int, str]]:
    """Check every entry by itself; return (begin, end, name) of each, in order of place."""
    limits.check_count(len(header))
    return sorted(_span(name, entry, limits) for name, entry in header.items())


def check_cover(spans: list[tuple[int, int, str]], data_bytes: int, limits: Limits) -> None:
    """Check that the tensors cover the data exactly once."""
    limits.check_total(sum(end - begin for begin, end, _ in spans))
    position = 0
    for begin, end, name in spans:
        if begin < position:
            raise CheckpointError(f"the bytes of tensor {shown(name)} overlap those of another")
        if begin > position:
            raise CheckpointError(
                f"{begin - position:,} bytes before tensor {shown(name)} belong to no tensor"
            )
        position = end
    if position > data_bytes:
        raise CheckpointError(
            f"it is cut off: its tensors need {position:,} bytes, {data_bytes:,} are there; copy "
            "or download it again"
        )
    if position < data_bytes:
        raise CheckpointError(
            f"{data_bytes - position:,} bytes after the last tensor belong to no tensor"
        )


def _span(name: str, entry: object, limits: Limits) -> tuple[int, int, str]:
    """Return the byte range of one header entry, checked against its dtype and shape."""
    check_name(name, limits)
    if not isinstance(entry, dict) or set(entry) != _FIELDS:
        raise CheckpointError(
            f"the header entry of tensor {shown(name)} does not hold dtype, shape and data_offsets"
        )
    dtype = _dtype(name, entry["dtype"])
    if not isinstance(entry["shape"], list):
        raise CheckpointError(f"the shape of tensor {shown(name)} is no list")
    shape = check_shape(name, entry["shape"], limits)
    offsets = entry["data_offsets"]
    if (
        not isinstance(offsets, list)
        or [type(value) for value in offsets] != [int, int]
        or not 0 <= offsets[0] <= offsets[1]
    ):
        raise CheckpointError(
            f"the data_offsets {shown(offsets)} of tensor {shown(name)} are no [begin, end]"
        )
    begin, end = offsets
    if byte_size(shape, dtype) != end - begin:
        raise CheckpointError(
            f"tensor {shown(name)} of shape {list(shape)} and dtype {dtype} needs "
            f"{byte_size(shape, dtype):,} bytes, but its header gives it {end - begin:,}"
        )
    return begin, end, name


def _dtype(name: str, code: object) -> torch.dtype:
    dtype = SAFETENSORS_DTYPES.get(code) if isinstance(code, str) else None
    if dtype is None:
        raise dtype_refused(name, shown(code))
    return dtype
