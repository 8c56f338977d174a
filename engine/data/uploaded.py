"""A user's own data: `.npz` or `.safetensors` with `inputs` [N, *shape] and `targets` [N].

uint8 inputs are images and are divided by 255 later; floating inputs are taken as they are.
An optional `classes` (one integer) says how many classes there are; else it is the largest
target plus one. Headers are read and capped before any array is allocated, and nothing is
ever unpickled.
"""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors
import torch
from torch import Tensor

from engine.data.dataset import RawImages
from engine.data.parquet import file_sha256
from engine.errors import DataError

SUFFIXES = (".npz", ".safetensors")
_KEYS = ("inputs", "targets", "classes")
_MEMBER_HEADER_BYTES = 10_000
_SAFETENSORS_DTYPES = {
    "U8": "uint8",
    "F16": "float16",
    "BF16": "bfloat16",
    "F32": "float32",
    "F64": "float64",
    "I8": "int8",
    "I16": "int16",
    "I32": "int32",
    "I64": "int64",
}


@dataclass(frozen=True)
class UploadLimits:
    """Caps that are looked at before anything is allocated."""

    samples: int = 5_000_000
    total_bytes: int = 4 << 30
    classes: int = 100_000


@dataclass(frozen=True)
class _Declared:
    """An array as its header declares it, and how to read it."""

    shape: tuple[int, ...]
    dtype: str
    nbytes: int
    read: Callable[[], Tensor]


def read_uploaded(path: Path, *, limits: UploadLimits | None = None) -> RawImages:
    """Read and check a user's data file.

    Raises:
        DataError: naming the file, the key and what is wrong with it.
    """
    try:
        return _read(path, limits or UploadLimits())
    except DataError as error:
        raise DataError(f"{path.name}: {error}") from error


def _read(path: Path, limits: UploadLimits) -> RawImages:
    if path.suffix == ".npz":
        return _from_npz(path, limits)
    if path.suffix == ".safetensors":
        return _from_safetensors(path, limits)
    raise DataError(f"data files end in {' or '.join(SUFFIXES)}.")


def _from_npz(path: Path, limits: UploadLimits) -> RawImages:
    try:
        with zipfile.ZipFile(path) as archive:
            files = [info.filename for info in archive.infolist()]
            names = {name.removesuffix(".npy") for name in files if name.endswith(".npy")}
            _check_keys(names)
            declared = {key: _npz_member(archive, key) for key in _KEYS if key in names}
            return _assemble(declared, file_sha256(path), limits)
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, NotImplementedError) as error:
        raise DataError(f"this is no readable .npz file ({error}).") from error
    except (SyntaxError, RuntimeError, zlib.error) as error:  # a broken header, an encrypted member
        raise DataError(f"this is no readable .npz file ({type(error).__name__}).") from error


def _npz_member(archive: zipfile.ZipFile, key: str) -> _Declared:
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

    return _Declared(tuple(shape), dtype.name, nbytes, read)


def _from_safetensors(path: Path, limits: UploadLimits) -> RawImages:
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            names = set(file.keys())
            _check_keys(names)
            declared = {key: _safetensors_entry(file, key) for key in _KEYS if key in names}
            return _assemble(declared, file_sha256(path), limits)
    except (OSError, safetensors.SafetensorError) as error:
        raise DataError(f"this is no readable .safetensors file ({error}).") from error


def _safetensors_entry(file: safetensors.safe_open, key: str) -> _Declared:
    piece = file.get_slice(key)
    code = str(piece.get_dtype())
    shape = tuple(piece.get_shape())
    dtype = _SAFETENSORS_DTYPES.get(code, code)
    return _Declared(shape, dtype, math.prod(shape) * 8, lambda: file.get_tensor(key))


def _check_keys(names: set[str]) -> None:
    for key in ("inputs", "targets"):
        if key not in names:
            found = ", ".join(sorted(names)[:10]) or "nothing"
            raise DataError(f"`{key}` is missing; the file holds {found}.")


def _assemble(declared: Mapping[str, _Declared], sha256: str, limits: UploadLimits) -> RawImages:
    inputs, targets = declared["inputs"], declared["targets"]
    _check_declared(inputs, targets, limits)
    pixels = inputs.read()
    if pixels.dtype != torch.uint8:
        pixels = pixels.to(torch.float32)
        _check_finite(pixels)
    labels = targets.read().to(torch.int64)
    classes = _classes(declared.get("classes"), labels, limits)
    return RawImages(pixels.contiguous(), labels.contiguous(), classes, sha256)


def _check_declared(inputs: _Declared, targets: _Declared, limits: UploadLimits) -> None:
    if inputs.dtype not in ("uint8", "float16", "bfloat16", "float32", "float64"):
        raise DataError(
            f"`inputs` has dtype {inputs.dtype}; bring uint8 images or floating-point numbers."
        )
    if targets.dtype not in ("uint8", "int8", "int16", "int32", "int64", "uint16", "uint32"):
        raise DataError(f"`targets` has dtype {targets.dtype}; bring integer class numbers.")
    if len(inputs.shape) < 2:
        raise DataError(
            f"`inputs` has shape {list(inputs.shape)}; the first axis counts samples and at "
            "least one more holds each sample."
        )
    if len(targets.shape) != 1:
        raise DataError(f"`targets` has shape {list(targets.shape)}; one number per sample is due.")
    if inputs.shape[0] != targets.shape[0]:
        raise DataError(
            f"`inputs` holds {inputs.shape[0]} samples but `targets` {targets.shape[0]}."
        )
    if math.prod(inputs.shape) == 0:
        raise DataError(f"`inputs` is empty, of shape {list(inputs.shape)}.")
    if inputs.shape[0] > limits.samples:
        raise DataError(f"{inputs.shape[0]} samples; at most {limits.samples} are read.")
    if math.prod(inputs.shape) * 4 > limits.total_bytes:
        raise DataError(
            f"`inputs` would take {math.prod(inputs.shape) * 4} bytes as float32; at most "
            f"{limits.total_bytes} are read."
        )


def _check_finite(inputs: Tensor) -> None:
    bad = ~torch.isfinite(inputs).flatten(1).all(dim=1)
    if bad.any():
        first = int(bad.nonzero()[0])
        raise DataError(
            f"`inputs` holds NaN or infinite numbers in {int(bad.sum())} samples, "
            f"the first is sample {first}."
        )


def _classes(declared: _Declared | None, labels: Tensor, limits: UploadLimits) -> int:
    low, high = int(labels.min()), int(labels.max())
    classes = high + 1
    if declared is not None:
        if math.prod(declared.shape) != 1 or "int" not in declared.dtype:
            raise DataError("`classes` must be one integer.")
        classes = int(declared.read().reshape(()))
        if classes < 1:
            raise DataError(f"`classes` is {classes}; it counts the classes, so at least 1.")
    if low < 0 or high >= classes:
        raise DataError(
            f"`targets` lie in {low} … {high}; with {classes} classes they must lie in "
            f"0 … {classes - 1}."
        )
    if classes > limits.classes:
        raise DataError(f"{classes} classes; at most {limits.classes} are taken.")
    return classes
