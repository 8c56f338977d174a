"""The raw bytes of an exported program's tensors: every view checked against what is there.

A payload is the bytes of one storage; several tensors may be views of it. Tensors that are the
very same view are one tied weight under several names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.checkpoints.admission import (
    ALLOWED_DTYPES,
    byte_size,
    check_name,
    check_shape,
    dtype_refused,
    expanded,
    shown,
)
from engine.checkpoints.limits import Limits
from engine.checkpoints.pt2.document import Entry
from engine.checkpoints.pt2.schema import STRIDED, dtype_of
from engine.errors import CheckpointError, UnsafeFileError

_META = ("dtype", "sizes", "requires_grad", "device", "strides", "storage_offset", "layout")
_CONSTANT_DTYPES = ALLOWED_DTYPES | {torch.complex64, torch.complex128}


@dataclass(frozen=True)
class Payload:
    """One tensor as the file describes it: a view of the bytes of one member."""

    name: str
    path: str
    dtype: torch.dtype
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int

    @property
    def place(self) -> tuple[object, ...]:
        """Equal for two names of the very same tensor."""
        return (self.path, self.dtype, self.shape, self.strides, self.offset)


def read_payloads(
    config: Entry, sizes: Mapping[str, int], limits: Limits, *, constants: bool
) -> tuple[Payload, ...]:
    """Return the tensors that a payload config describes, found to lie inside their bytes.

    Args:
        config: the parsed `…_config.json`.
        sizes: the bytes of each member that may hold a payload, by its name.
        limits: the caps, held by the tensors together.
        constants: whether these are constants, which may be complex.

    Raises:
        UnsafeFileError: a tensor is pickled.
        CheckpointError: a tensor is malformed, sparse, or reaches beyond its bytes.
        LimitError: there are too many, or they are too large.
    """
    config.only("config")
    payloads = tuple(
        _payload(name, entry, limits, _CONSTANT_DTYPES if constants else ALLOWED_DTYPES)
        for name, entry in config.mapping("config")
    )
    limits.check_count(len(payloads))
    for payload in payloads:
        _check_bounds(payload, sizes)
    limits.check_total(sum(byte_size(payload.shape, payload.dtype) for payload in payloads))
    return payloads


def load_payloads(payloads: tuple[Payload, ...], read: Callable[[str], bytes]) -> dict[str, Tensor]:
    """Return every tensor by name, in the file's order and in memory of its own.

    Args:
        payloads: as `read_payloads` found them.
        read: the bytes of a member.
    """
    path, data = "", bytearray()
    loaded: dict[str, Tensor] = {}
    for payload in sorted(payloads, key=lambda payload: payload.path):
        if path != payload.path:  # one storage at a time
            path, data = payload.path, bytearray(read(payload.path))
        loaded[payload.name] = _tensor(payload, data)
    return {payload.name: loaded[payload.name] for payload in payloads}


def ties(payloads: tuple[Payload, ...]) -> dict[str, str]:
    """Return the names that hold the tensor of an earlier name: alias → first name."""
    first: dict[tuple[object, ...], str] = {}
    found = {payload.name: first.setdefault(payload.place, payload.name) for payload in payloads}
    empty = {payload.name for payload in payloads if 0 in payload.shape}
    return {alias: name for alias, name in found.items() if alias != name and alias not in empty}


def _payload(
    name: str, entry: Entry, limits: Limits, allowed: frozenset[torch.dtype] | set[torch.dtype]
) -> Payload:
    check_name(name, limits)
    entry.only("path_name", "is_param", "use_pickle", "tensor_meta")
    if entry.flag("use_pickle"):
        raise UnsafeFileError(
            f"tensor {shown(name)} is pickled, which could run code when read; save plain tensors"
        )
    meta = entry.entry("tensor_meta")
    meta.only(*_META)
    dtype = dtype_of(meta.whole("dtype"), f"tensor {shown(name)}")
    if dtype not in allowed:
        raise dtype_refused(name, dtype)
    if meta.whole("layout") != STRIDED:
        raise CheckpointError(f"tensor {shown(name)} is not dense; save tensor.to_dense()")
    shape = check_shape(name, [_fixed(size) for size in meta.entries("sizes")], limits)
    strides = tuple(_fixed(size) for size in meta.entries("strides"))
    offset = _fixed(meta.entry("storage_offset"))
    if len(strides) != len(shape) or min(strides, default=0) < 0 or offset < 0:
        raise CheckpointError(f"tensor {shown(name)} has malformed strides")
    return Payload(name, entry.text("path_name"), dtype, shape, strides, offset)


def _fixed(size: Entry) -> int:
    kind, value = size.union()
    if kind != "as_int":
        raise CheckpointError(f"{size.place} is no fixed size")
    return Entry.whole_number(value, size.place)


def _check_bounds(payload: Payload, sizes: Mapping[str, int]) -> None:
    name, item = payload.name, payload.dtype.itemsize
    if payload.path not in sizes:
        raise CheckpointError(
            f"tensor {shown(name)} lies in {shown(payload.path)}, which is no payload of the file"
        )
    held, needed = sizes[payload.path], byte_size(payload.shape, payload.dtype)
    if needed > held:
        raise expanded(name, needed, held)
    steps = zip(payload.shape, payload.strides, strict=True)
    last = payload.offset + sum((size - 1) * stride for size, stride in steps)
    if needed and (last + 1) * item > held:
        raise CheckpointError(
            f"tensor {shown(name)} reaches byte {(last + 1) * item:,} of a payload of {held:,}"
        )


def _tensor(payload: Payload, data: bytearray) -> Tensor:
    if 0 in payload.shape:
        return torch.empty(payload.shape, dtype=payload.dtype)
    whole = len(data) // payload.dtype.itemsize
    flat = torch.frombuffer(data, dtype=payload.dtype, count=whole)
    view = flat.as_strided(payload.shape, payload.strides, payload.offset)
    return view.clone(memory_format=torch.contiguous_format)
