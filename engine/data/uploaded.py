"""A user's own data: `.npz` or `.safetensors` with `inputs` and `targets`, or plain `.txt`.

What the arrays may be is in `declared.py`, text in `text.py`. uint8 inputs are images and are
divided by 255 later, unless the model takes token ids; floating inputs are taken as they are.
Headers are read and capped before any array is allocated, and nothing is ever unpickled.
"""

from __future__ import annotations

import math
import zipfile
import zlib
from pathlib import Path

import numpy as np
import safetensors
import torch
from torch import Tensor

from engine.data.dataset import RawData
from engine.data.declared import Declared, UploadLimits, assemble, data_keys
from engine.data.parquet import file_sha256
from engine.data.text import read_text
from engine.errors import DataError

SUFFIXES = (".npz", ".safetensors", ".txt")
_MEMBER_HEADER_BYTES = 10_000
_SAFETENSORS_DTYPES = {
    "BOOL": "bool",
    "U8": "uint8",
    "F16": "float16",
    "BF16": "bfloat16",
    "F32": "float32",
    "F64": "float64",
    "I8": "int8",
    "I16": "int16",
    "I32": "int32",
    "I64": "int64",
    "U16": "uint16",
    "U32": "uint32",
}


def read_uploaded(
    path: Path, *, limits: UploadLimits | None = None, length: int | None = None
) -> RawData:
    """Read and check a user's data file.

    Args:
        path: the file; its suffix says what it is.
        limits: caps on what it may declare.
        length: tokens per sequence, for a text; None takes a usual length.

    Raises:
        DataError: naming the file, the key and what is wrong with it.
    """
    try:
        return _read(path, limits or UploadLimits(), length)
    except DataError as error:
        raise DataError(f"{path.name}: {error}") from error


def _read(path: Path, limits: UploadLimits, length: int | None) -> RawData:
    if path.suffix == ".npz":
        return _from_npz(path, limits)
    if path.suffix == ".safetensors":
        return _from_safetensors(path, limits)
    if path.suffix == ".txt":
        return read_text(path, length)
    raise DataError(f"data files end in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}.")


def _from_npz(path: Path, limits: UploadLimits) -> RawData:
    try:
        with zipfile.ZipFile(path) as archive:
            files = [info.filename for info in archive.infolist()]
            names = {name.removesuffix(".npy") for name in files if name.endswith(".npy")}
            declared = {key: _npz_member(archive, key) for key in data_keys(names)}
            return assemble(declared, file_sha256(path), limits)
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, NotImplementedError) as error:
        raise DataError(f"this is no readable .npz file ({error}).") from error
    except (SyntaxError, RuntimeError, zlib.error) as error:  # a broken header, an encrypted member
        raise DataError(f"this is no readable .npz file ({type(error).__name__}).") from error


def _npz_member(archive: zipfile.ZipFile, key: str) -> Declared:
    member = archive.getinfo(f"{key}.npy")
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        reader = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = reader(file, max_header_size=_MEMBER_HEADER_BYTES)
        header = file.tell()
    nbytes = math.prod(shape) * dtype.itemsize
    if not dtype.hasobject and header + nbytes != member.file_size:
        raise DataError(f"`{key}` declares {nbytes} bytes but stores {member.file_size - header}.")

    def read() -> Tensor:
        with archive.open(member) as file:
            array = np.lib.format.read_array(file, allow_pickle=False)
        return torch.from_numpy(array.astype(array.dtype.newbyteorder("="), copy=False))

    return Declared(tuple(shape), dtype.name, read)


def _from_safetensors(path: Path, limits: UploadLimits) -> RawData:
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            declared = {key: _safetensors_entry(file, key) for key in data_keys(file.keys())}
            return assemble(declared, file_sha256(path), limits)
    except (OSError, safetensors.SafetensorError) as error:
        raise DataError(f"this is no readable .safetensors file ({error}).") from error


def _safetensors_entry(file: safetensors.safe_open, key: str) -> Declared:
    piece = file.get_slice(key)
    code = str(piece.get_dtype())
    shape = tuple(piece.get_shape())
    dtype = _SAFETENSORS_DTYPES.get(code, code)
    return Declared(shape, dtype, lambda: file.get_tensor(key))
