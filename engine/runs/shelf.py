"""Files named by their content: checkpoints, data sets and raw uploads; and the built-in ones.

A stored checkpoint is one safetensors file that carries its own description (name, format,
notes, recognition) as JSON in its header, under the key `basinscope`; so a listing reads
headers only, and needs no torch. Where it came with its architecture (a `.pt2`), the graph lies
beside it as `<sha256>.graph.json`. Raw uploads wait here until a worker has converted them.
"""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO

from engine.errors import LimitError, RunError
from engine.runs.files import check_sha256, copy_stream, folder_bytes, parse_json, sync_folder

METADATA_KEY = "basinscope"
DATA_FORMATS = ("npz", "safetensors", "txt")
_MOST_HEADER = 64 << 20
_ASSETS = Path(__file__).resolve().parents[2] / "assets" / "demo"


@dataclass(frozen=True)
class CheckpointInfo:
    """A stored checkpoint as its header describes it.

    Attributes:
        sha256: fingerprint of the tensors.
        name, format, notes, origin: as in `engine.checkpoints.Checkpoint`.
        bytes: size of the stored file.
        builtin: whether it ships with Basinscope and cannot be deleted.
        description: everything else that was found out (`recognition`, `tensors`, …).
    """

    sha256: str
    name: str
    format: str
    notes: tuple[str, ...]
    origin: Mapping[str, str]
    bytes: int
    builtin: bool
    path: Path
    description: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class Sizes:
    """Bytes on disk under the home folder, and the most that uploads may fill it to."""

    checkpoints: int
    data: int
    uploads: int
    runs: int
    total: int
    quota: int


class Upload:
    """A raw file on its way in, written piece by piece; `sha256` is known after `commit`."""

    def __init__(self, folder: Path, limit: int, limit_name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=folder, prefix=".", suffix=".part")
        self._stream = os.fdopen(descriptor, "wb")
        self._temporary = Path(name)
        self._digest = hashlib.sha256()
        self._limit, self._limit_name = limit, limit_name
        self.bytes = 0

    def write(self, data: bytes) -> None:
        """Append `data`.

        Raises:
            LimitError: the file, or all files together, would become too large.
        """
        self.bytes += len(data)
        if self.bytes > self._limit:
            raise LimitError(
                f"The upload is larger than {self._limit / 1e6:,.1f} MB, {self._limit_name}."
            )
        self._digest.update(data)
        self._stream.write(data)

    def commit(self) -> str:
        """Keep the file; return its SHA-256, by which it is known from now on."""
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._stream.close()
        sha256 = self._digest.hexdigest()
        self._temporary.replace(self._temporary.with_name(f"{sha256}.raw"))
        sync_folder(self._temporary.parent)
        return sha256

    def discard(self) -> None:
        """Drop what was written; without effect after `commit`."""
        self._stream.close()
        self._temporary.unlink(missing_ok=True)


class Shelf:
    """The content-addressed files under one home folder, with the built-in checkpoints.

    Args:
        home: the folder.
        assets: folder of the built-in `*.safetensors`; None for the one that ships.
        quota: most bytes that `home` may hold for an upload to be taken.
    """

    def __init__(self, home: Path, assets: Path | None = None, quota: int = 20 << 30) -> None:
        self.home, self.quota = home, quota
        self._assets = _ASSETS if assets is None else assets

    def upload(self, limit: int = 8 << 30) -> Upload:
        """Begin an upload of at most `limit` bytes; the caller ends it with commit or discard."""
        room = max(0, self.quota - folder_bytes(self.home))
        if room < limit:
            return Upload(self._uploads, room, "all the room that is left; delete old runs first")
        return Upload(self._uploads, limit, "the limit for one file")

    def save_upload(self, source: bytes | BinaryIO, limit: int = 8 << 30) -> str:
        """Store a whole raw file and return its SHA-256.

        Raises:
            LimitError: it is larger than `limit` or than the room that is left.
        """
        upload = self.upload(limit)
        try:
            copy_stream(io.BytesIO(source) if isinstance(source, bytes) else source, upload.write)
            return upload.commit()
        finally:
            upload.discard()

    def upload_path(self, sha256: str) -> Path:
        """Return where a raw upload lies.

        Raises:
            RunError: it is not there (any more).
        """
        return self._present(self._uploads / f"{check_sha256(sha256)}.raw", "upload", sha256)

    def discard_upload(self, sha256: str) -> None:
        """Drop a raw upload."""
        (self._uploads / f"{check_sha256(sha256)}.raw").unlink(missing_ok=True)

    def checkpoint_file(self, sha256: str) -> Path:
        """Return the place in the home folder that belongs to a checkpoint, there or not."""
        return self.home / "checkpoints" / f"{check_sha256(sha256)}.safetensors"

    def graph_file(self, sha256: str) -> Path:
        """Return the place of the graph that a stored checkpoint came with, there or not."""
        return self.checkpoint_file(sha256).with_suffix(".graph.json")

    def data_file(self, sha256: str, suffix: str) -> Path:
        """Return the place that belongs to a data set, there or not."""
        return self.home / "data" / f"{check_sha256(sha256)}.{suffix}"

    def has_checkpoint(self, sha256: str) -> bool:
        """Whether a checkpoint is stored or built in."""
        return any(info.sha256 == check_sha256(sha256) for info in self._find(sha256))

    def checkpoint(self, sha256: str) -> CheckpointInfo:
        """Return the description of a checkpoint, stored or built in.

        Raises:
            RunError: there is none, or its file is damaged.
        """
        for info in self._find(sha256):
            if info.sha256 == sha256:
                return info
        raise RunError(f"The checkpoint {sha256[:12]}… is not stored here; upload it again.")

    def checkpoints(self) -> tuple[CheckpointInfo, ...]:
        """Return all checkpoints, built-in ones first, then by name; damaged files are left out."""
        found = {info.sha256: info for info in self._stored() if info is not None}
        found.update({info.sha256: info for info in self._builtin()})
        return tuple(sorted(found.values(), key=lambda info: (not info.builtin, info.name)))

    def data_path(self, sha256: str) -> Path:
        """Return the file of an uploaded data set.

        Raises:
            RunError: it is not stored here.
        """
        paths = [self.data_file(sha256, suffix) for suffix in DATA_FORMATS]
        return next(filter(Path.is_file, paths), None) or self._present(paths[0], "data", sha256)

    def delete_checkpoint(self, sha256: str) -> None:
        """Delete a stored checkpoint.

        Raises:
            RunError: it is built in, or not stored here.
        """
        if self.checkpoint(sha256).builtin:
            raise RunError("A built-in checkpoint cannot be deleted.")
        self.checkpoint_file(sha256).unlink(missing_ok=True)
        self.graph_file(sha256).unlink(missing_ok=True)

    def sizes(self) -> Sizes:
        """Return what the home folder holds, by kind."""
        parts = ("checkpoints", "data", "uploads", "runs")
        found = {part: folder_bytes(self.home / part) for part in parts}
        return Sizes(**found, total=folder_bytes(self.home), quota=self.quota)

    def sweep(self, age: float = 86_400.0) -> None:
        """Drop raw uploads and unfinished files that nobody has touched for `age` seconds."""
        stale = time.time() - age
        left = [*self._uploads.glob("*.raw"), *self.home.rglob(".*.part*")]
        for path in left:
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < stale:
                    path.unlink()

    @property
    def _uploads(self) -> Path:
        return self.home / "uploads"

    def _find(self, sha256: str) -> Iterator[CheckpointInfo]:
        own = self.checkpoint_file(sha256)
        if own.is_file():
            yield read_info(own)
        yield from self._builtin()

    def _stored(self) -> Iterator[CheckpointInfo | None]:
        for path in sorted((self.home / "checkpoints").glob("[0-9a-f]*.safetensors")):
            yield _readable(path, builtin=False)

    def _builtin(self) -> Iterator[CheckpointInfo]:
        infos = (
            _readable(path, builtin=True) for path in sorted(self._assets.glob("*.safetensors"))
        )
        yield from (info for info in infos if info is not None)

    @staticmethod
    def _present(path: Path, what: str, sha256: str) -> Path:
        if not path.is_file():
            raise RunError(f"The {what} {sha256[:12]}… is not stored here; upload it again.")
        return path


def read_info(path: Path, builtin: bool = False) -> CheckpointInfo:
    """Return the description in a stored checkpoint's header.

    Raises:
        RunError: the file is damaged or carries no description.
    """
    try:
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if not 2 <= length <= _MOST_HEADER:
                raise ValueError("no header")
            header = parse_json(stream.read(length))
        found = parse_json(header["__metadata__"][METADATA_KEY])
        return CheckpointInfo(
            sha256=check_sha256(found["sha256"]),
            name=str(found["name"]),
            format=str(found["format"]),
            notes=tuple(found.get("notes", ())),
            origin=MappingProxyType(dict(found.get("origin", {}))),
            bytes=path.stat().st_size,
            builtin=builtin,
            path=path,
            description=MappingProxyType(found),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RunError) as error:
        raise RunError(
            f"The stored checkpoint {path.name} is damaged ({error}); upload it again."
        ) from error


def _readable(path: Path, *, builtin: bool) -> CheckpointInfo | None:
    try:
        return read_info(path, builtin)
    except RunError:
        return None
