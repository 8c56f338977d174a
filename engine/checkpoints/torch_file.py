"""Reading what `torch.save` wrote, without ever running what a pickle asks for.

First the whole file is checked: the zip (or the older flat file), then the pickle inside it
by `pickle_plan`, then every tensor that it would build against the bytes that are there. Only
then `torch.load(weights_only=True)` reads it. There is no fallback: what it refuses is refused,
with the two lines that convert the file where it is trusted.
Not handled: TorchScript, exported programs, whole modules, sparse and quantised tensors, and
the tar files of PyTorch 0.1.
"""

from __future__ import annotations

import io
import pickle
import struct
from collections.abc import Sequence
from typing import Any, BinaryIO
from zipfile import BadZipFile

import torch

from engine.checkpoints.admission import (
    STORAGE_DTYPES,
    byte_size,
    check_shape,
    dtype_refused,
    expanded,
    reason,
    shown,
)
from engine.checkpoints.limits import Limits
from engine.checkpoints.pickle_plan import Plan, PlannedTensor, plan_pickle
from engine.checkpoints.pickle_scan import disallowed_globals, read_opcodes
from engine.checkpoints.refusals import refuse_globals, refuse_script
from engine.checkpoints.zip_archive import (
    STORED_ONLY,
    STORED_OR_DEFLATED,
    check_compression,
    open_archive,
)
from engine.errors import CheckpointError

#: How the flat files of PyTorch 0.2 to 1.5 begin: a pickled magic number.
FLAT_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_FLAT_VERSION = 1001


def read_torch_zip(file: BinaryIO, size: int, limits: Limits) -> Any:
    """Return the object that a zip of `torch.save` (PyTorch 1.6 and later) holds.

    Args:
        file: The opened file, seekable.
        size: Its length in bytes.
        limits: The caps.

    Raises:
        UnsafeFileError: The pickle is beyond plain tensors.
        CheckpointError: The file is malformed.
        LimitError: It declares more than the caps allow.
    """
    return _load(file, plan_torch_zip(file, size, limits), limits)


def plan_torch_zip(file: BinaryIO, size: int, limits: Limits) -> Plan:
    """Return what a zip of `torch.save` holds without reading any storage's bytes.

    Args and errors are those of `read_torch_zip`.
    """
    archive, members = open_archive(file, size, STORED_OR_DEFLATED, limits)
    roots = {name.partition("/")[0] for name in members}
    root = roots.pop() if len(roots) == 1 else ""
    inner = {name.removeprefix(f"{root}/").casefold(): member for name, member in members.items()}
    refuse_script(inner)  # before the compression: TorchScript deflates its code
    for member in members.values():
        check_compression(member, STORED_ONLY)
    if f"{root}/data.pkl" not in members:
        raise CheckpointError("it is a zip, but holds neither tensors nor arrays that are known")
    limits.check_header(inner["data.pkl"].file_size, "pickle")
    try:
        description = archive.read(inner["data.pkl"])
        order = archive.read(inner["byteorder"]) if "byteorder" in inner else b"little"
    except (BadZipFile, OSError, EOFError, ValueError) as error:
        raise CheckpointError(f"its zip is damaged ({reason(error)})") from error
    if order not in (b"little", b"big"):
        raise CheckpointError(f"its byte order is {shown(order)}, not little or big")
    stream = io.BytesIO(description)
    plan = _plan(stream, limits)
    if stream.read(1):
        raise CheckpointError("its pickle is followed by further bytes")
    for key, storage in plan.storages.items():
        member = inner.get(f"data/{key}".casefold())
        if member is None:
            raise CheckpointError(f"its storage {shown(key)} is not in the zip")
        _check_storage(plan, key, member.file_size, storage.elements)
    return plan


def read_torch_flat(file: BinaryIO, size: int, limits: Limits) -> Any:
    """Return the object of a flat file of `torch.save`: five pickles, then the storages' bytes.

    Args and errors are those of `read_torch_zip`.
    """
    return _load(file, plan_torch_flat(file, size, limits), limits)


def plan_torch_flat(file: BinaryIO, size: int, limits: Limits) -> Plan:
    """Return what a flat file holds without reading any storage's bytes.

    Args and errors are those of `read_torch_zip`.
    """
    file.seek(0)
    head = io.BytesIO(file.read(min(size, limits.header_bytes)))
    head.seek(len(FLAT_MAGIC))
    version = _plan(head, limits).value
    if version != _FLAT_VERSION:
        raise CheckpointError(f"its version is {shown(version)}, not {_FLAT_VERSION}")
    _plan(head, limits)
    plan = _plan(head, limits)
    keys = _plan(head, limits).value
    if type(keys) is not list or not all(type(key) is str for key in keys):
        raise CheckpointError("its list of storages is malformed")
    if len(set(keys)) != len(keys) or set(keys) != set(plan.storages):
        raise CheckpointError("its list of storages is not that of its tensors")
    position = head.tell()
    for key in keys:
        file.seek(position)
        announced = file.read(8)
        elements = struct.unpack("<q", announced)[0] if len(announced) == 8 else -1
        storage = plan.storages[key]
        if elements != storage.elements:
            raise CheckpointError(
                f"its storage {shown(key)} should hold {storage.elements:,} elements, but the "
                "bytes that follow say otherwise"
            )
        position += 8 + elements * _item_size(plan, key)
    if position != size:
        raise CheckpointError(
            f"its tensors end at byte {position:,}, but the file has {size:,}; copy or download "
            "it again"
        )
    return plan


def _plan(stream: BinaryIO, limits: Limits) -> Plan:
    """Return the plan of the pickle at the stream's position, refusing foreign globals."""
    opcodes = read_opcodes(stream, limits)
    refuse_globals(disallowed_globals(opcodes))
    return plan_pickle(opcodes)


def _item_size(plan: Plan, key: str) -> int:
    kind = plan.storages[key].kind
    if kind not in STORAGE_DTYPES:
        names = [tensor.name for tensor in plan.tensors if tensor.storage.key == key]
        raise dtype_refused(names[0] if names else f"in storage {key}", f"of {kind}")
    return STORAGE_DTYPES[kind].itemsize


def _check_storage(plan: Plan, key: str, held: int, elements: int) -> None:
    needed = elements * _item_size(plan, key)
    if needed != held:
        raise CheckpointError(
            f"its storage {shown(key)} should hold {needed:,} bytes, but its member has {held:,}"
        )


def _load(file: BinaryIO, plan: Plan, limits: Limits) -> Any:
    """Check every planned tensor, then let torch read the file."""
    check_plan(plan, limits)
    file.seek(0)
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except (RuntimeError, ValueError, TypeError, EOFError, pickle.UnpicklingError) as error:
        raise CheckpointError(f"torch refuses it: {reason(error)}") from error


def check_plan(plan: Plan, limits: Limits) -> None:
    """Check every planned tensor, and that all together stay within the caps."""
    limits.check_count(len(plan.tensors))
    limits.check_total(sum(_checked_size(tensor, limits) for tensor in plan.tensors))


def _checked_size(tensor: PlannedTensor, limits: Limits) -> int:
    """Return the bytes of one planned tensor, found to lie inside its storage."""
    dtype = STORAGE_DTYPES[tensor.storage.kind]
    shape = check_shape(tensor.name, tensor.shape, limits)
    stride: Sequence[int] = tensor.stride
    if len(stride) != len(shape) or min(stride, default=0) < 0 or tensor.offset < 0:
        raise CheckpointError(f"tensor {shown(tensor.name)} has malformed strides")
    needed, held = byte_size(shape, dtype), tensor.storage.elements * dtype.itemsize
    if needed > held:
        raise expanded(tensor.name, needed, held)
    last = tensor.offset + sum((n - 1) * s for n, s in zip(shape, stride, strict=True))
    if needed and last >= tensor.storage.elements:
        raise CheckpointError(
            f"tensor {shown(tensor.name)} reaches element {last:,} of a storage of "
            f"{tensor.storage.elements:,}"
        )
    return needed
