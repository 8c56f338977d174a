"""Reading `.npz`: every array's header is looked at before the array is allocated.

Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html. Arrays are read
with `allow_pickle=False`. Not handled: object, structured, string and complex arrays, and
bfloat16, which numpy can only store as anonymous bytes.
"""

from __future__ import annotations

import io
import math
import zlib
from collections.abc import Callable
from typing import IO, BinaryIO
from zipfile import BadZipFile, ZipInfo

import numpy as np
import torch
from torch import Tensor

from engine.checkpoints.admission import (
    NUMPY_KINDS,
    check_name,
    check_shape,
    dtype_refused,
    reason,
    shown,
)
from engine.checkpoints.limits import Limits
from engine.checkpoints.zip_archive import STORED_OR_DEFLATED, open_archive
from engine.errors import CheckpointError

_ARRAY_HEADER_BYTES = 10_000


def read_npz(file: BinaryIO, size: int, limits: Limits) -> dict[str, Tensor]:
    """Return the arrays of an `.npz` file as tensors of the machine's byte order.

    Args:
        file: The opened file, seekable.
        size: Its length in bytes.
        limits: The caps.

    Raises:
        CheckpointError: The archive or an array is malformed or of a dtype that is not read.
        LimitError: It declares more than the caps allow.
    """
    return _each_array(file, size, limits, _read_array)


def plan_npz(file: BinaryIO, size: int, limits: Limits) -> dict[str, Tensor]:
    """Return the arrays as tensors of the device "meta": shapes and dtypes, no values read.

    Args and errors are those of `read_npz`.
    """
    return _each_array(file, size, limits, _plan_array)


Reader = Callable[[IO[bytes], tuple[int, ...], bool, np.dtype], Tensor]


def _each_array(file: BinaryIO, size: int, limits: Limits, reader: Reader) -> dict[str, Tensor]:
    archive, members = open_archive(file, size, STORED_OR_DEFLATED, limits)
    tensors = {}
    for filename, member in members.items():
        if not filename.endswith(".npy"):
            raise CheckpointError(
                f"it holds {shown(filename)}, which is no .npy array; an .npz holds arrays only"
            )
        name = check_name(filename.removesuffix(".npy"), limits)
        try:
            with archive.open(member) as stream:
                tensors[name] = reader(stream, *_checked_header(stream, member, name, limits))
        except (BadZipFile, ValueError, EOFError, OSError, zlib.error, SyntaxError) as error:
            raise CheckpointError(
                f"array {shown(name)} is damaged or malformed ({reason(error)})"
            ) from error
    return tensors


def _checked_header(
    stream: IO[bytes], member: ZipInfo, name: str, limits: Limits
) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Return one array's shape, Fortran order and dtype, found to fit its member."""
    shape, fortran, dtype = _read_array_header(stream, name)
    sizes = check_shape(name, shape, limits)
    if dtype.hasobject:
        raise CheckpointError(
            f"array {shown(name)} holds pickled Python objects, which could run code; save "
            "plain numeric arrays"
        )
    if (dtype.kind, dtype.itemsize) not in NUMPY_KINDS or dtype.subdtype is not None:
        raise dtype_refused(name, dtype)
    needed = math.prod(sizes) * dtype.itemsize
    given = member.file_size - stream.tell()
    if needed != given:
        raise CheckpointError(
            f"array {shown(name)} of shape {list(sizes)} and dtype {dtype} needs {needed:,} "
            f"bytes, but its member holds {given:,}"
        )
    return sizes, fortran, dtype


def _read_array(
    stream: IO[bytes], sizes: tuple[int, ...], fortran: bool, dtype: np.dtype
) -> Tensor:
    flat = np.frombuffer(_read_exactly(stream, math.prod(sizes) * dtype.itemsize), dtype)
    array = flat.reshape(sizes, order="F" if fortran else "C")
    native = array.dtype.newbyteorder("=")
    return torch.from_numpy(np.array(array, dtype=native, order="C"))


def _plan_array(
    stream: IO[bytes], sizes: tuple[int, ...], fortran: bool, dtype: np.dtype
) -> Tensor:
    kind = torch.from_numpy(np.empty(0, dtype.newbyteorder("="))).dtype
    return torch.empty(sizes, dtype=kind, device="meta")


def _read_array_header(stream: IO[bytes], name: str) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Return shape, Fortran order and dtype; the header's length is capped before it is read."""
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise CheckpointError(f"array {shown(name)} has the npy version {version}, not 1 or 2")
    announced = stream.read(2 if version == (1, 0) else 4)
    length = int.from_bytes(announced, "little")
    if length > _ARRAY_HEADER_BYTES:
        raise CheckpointError(f"array {shown(name)} announces a header of {length:,} bytes")
    header = io.BytesIO(announced + stream.read(length))
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(header, _ARRAY_HEADER_BYTES)
    return np.lib.format.read_array_header_2_0(header, _ARRAY_HEADER_BYTES)


def _read_exactly(stream: IO[bytes], size: int) -> bytes:
    """Return `size` bytes, reading on to the end so that the archive's checksum is verified."""
    data = stream.read(size)
    if len(data) != size or stream.read(1):
        raise CheckpointError(f"{len(data):,} bytes unpacked where {size:,} were declared")
    return data
