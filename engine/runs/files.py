"""How runs are put on disk: checked names, atomic writes, arrays without pickle.

Every file is written under a temporary name, flushed to the disk and renamed, so a reader
sees the old file, the new file or none, never half of one. Arrays are zipped without time
stamps in the order of their names: equal arrays give equal bytes.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from engine.errors import RunError

_RUN_ID = re.compile(r"[0-9a-f]{16}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_EPOCH = (1980, 1, 1, 0, 0, 0)
_DAMAGE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)


def check_run_id(run_id: str) -> str:
    """Return `run_id` when it is one: the only strings that ever become a run's folder name.

    Raises:
        RunError: it is anything but 16 hexadecimal digits.
    """
    if not isinstance(run_id, str) or not _RUN_ID.fullmatch(run_id):
        raise RunError(f"{str(run_id)[:60]!r} is no run: a run's id is 16 hexadecimal digits.")
    return run_id


def check_sha256(sha256: str) -> str:
    """Return `sha256` when it is one: the only strings that ever become a content's file name.

    Raises:
        RunError: it is anything but 64 hexadecimal digits.
    """
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        raise RunError(f"{str(sha256)[:80]!r} is no SHA-256: that is 64 hexadecimal digits.")
    return sha256


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` last through a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; what is written there takes its place at the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=f".part{path.suffix}")
    os.close(descriptor)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path` atomically."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def pack_arrays(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Return the bytes of an `.npz` of `arrays`; equal arrays give equal bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(arrays):
            member = io.BytesIO()
            np.lib.format.write_array(member, np.asarray(arrays[name]), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", _EPOCH), member.getvalue())
    return buffer.getvalue()


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write `arrays` to `path` as a deterministic `.npz`, atomically."""
    write_bytes(path, pack_arrays(arrays))


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of an `.npz`; nothing is unpickled and every check sum is verified.

    Raises:
        FileNotFoundError: there is no such file.
        RunError: the file is damaged.
    """
    data = path.read_bytes()
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return {
                name.removesuffix(".npy"): _read_member(archive.read(name))
                for name in archive.namelist()
            }
    except _DAMAGE as error:
        raise RunError(f"The file {path.name} is damaged ({error}).") from error


def _read_member(data: bytes) -> np.ndarray:
    return np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)


def parse_json(text: str | bytes) -> Any:
    """Return the value of a JSON text that may be damaged or hostile.

    Raises:
        ValueError: it is no JSON, or nested deeper than any file of a run.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def copy_stream(source: BinaryIO, write: Callable[[bytes], object], block: int = 1 << 20) -> None:
    """Hand `source` to `write` block by block; a file of any size takes one block of memory."""
    while data := source.read(block):
        write(data)


def stamp_of(path: Path) -> str | None:
    """Return sizes and times of what a path means: a file with its config, or a model's folder.

    None where there is neither a file nor a folder.
    """
    if path.is_dir():
        files = [item for item in sorted(path.iterdir()) if item.is_file()]
    elif path.is_file():
        files = [path, *filter(Path.is_file, [path.with_name("config.json")])]
    else:
        return None
    stamps = [f"{item.stat().st_size}-{item.stat().st_mtime_ns}" for item in files]
    if len(stamps) == 1:
        return stamps[0]
    named = "|".join(f"{item.name} {stamp}" for item, stamp in zip(files, stamps, strict=True))
    return hashlib.sha256(named.encode()).hexdigest()


def folder_bytes(folder: Path) -> int:
    """Return the bytes of all files under `folder`; files that vanish meanwhile count nothing."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:
            continue
    return total
