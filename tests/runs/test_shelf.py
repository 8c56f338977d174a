"""The shelf: contents under their hash, described by their own header, within a quota."""

from __future__ import annotations

import hashlib
import io
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from engine.errors import LimitError, RunError
from engine.runs import Shelf, Store
from engine.runs.files import write_bytes
from engine.runs.shelf import METADATA_KEY, read_info

SHA = "c" * 64


def header_file(found: Any, key: str = METADATA_KEY) -> bytes:
    """Return a safetensors file without tensors that carries a description."""
    header = json.dumps({"__metadata__": {key: json.dumps(found)}}).encode()
    return len(header).to_bytes(8, "little") + header


def described(sha256: str = SHA, name: str = "a.pt") -> bytes:
    return header_file({"sha256": sha256, "name": name, "format": "torch", "notes": ["x"]})


@pytest.fixture
def shelf(store: Store) -> Shelf:
    return store.shelf


def test_an_upload_is_kept_under_its_hash(shelf: Shelf) -> None:
    data = os.urandom(3_000_000)
    sha256 = shelf.save_upload(io.BytesIO(data))
    assert sha256 == hashlib.sha256(data).hexdigest() == shelf.save_upload(data)
    assert shelf.upload_path(sha256).read_bytes() == data
    assert len(list((shelf.home / "uploads").iterdir())) == 1
    shelf.discard_upload(sha256)
    shelf.discard_upload(sha256)
    with pytest.raises(RunError, match="is not stored here; upload it again"):
        shelf.upload_path(sha256)


def test_an_upload_may_come_piece_by_piece(shelf: Shelf) -> None:
    upload = shelf.upload(limit=10)
    upload.write(b"12345")
    upload.write(b"678")
    assert upload.bytes == 8
    assert upload.commit() == hashlib.sha256(b"12345678").hexdigest()
    upload.discard()
    dropped = shelf.upload()
    dropped.write(b"x")
    dropped.discard()
    assert len(list((shelf.home / "uploads").iterdir())) == 1


def test_an_upload_beyond_the_limit_is_refused_and_leaves_nothing(shelf: Shelf) -> None:
    message = r"The upload is larger than 0\.0 MB, the limit for one file\."
    with pytest.raises(LimitError, match=message):
        shelf.save_upload(b"x" * 1001, limit=1000)
    assert list((shelf.home / "uploads").iterdir()) == []


def test_an_upload_beyond_the_quota_is_refused(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "home", tmp_path, quota=2000)
    shelf.save_upload(b"x" * 1500)
    with pytest.raises(LimitError, match="all the room that is left; delete old runs first"):
        shelf.save_upload(b"y" * 600)
    shelf.save_upload(b"y" * 400)
    sizes = shelf.sizes()
    assert (sizes.uploads, sizes.total, sizes.quota, sizes.runs) == (1900, 1900, 2000, 0)


def test_checkpoints_are_listed_from_their_headers(store: Store, tmp_path: Path) -> None:
    shelf = store.shelf
    write_bytes(shelf.checkpoint_file(SHA), described())
    write_bytes(shelf.checkpoint_file("d" * 64), described("d" * 64, "B.pt"))
    write_bytes(shelf.checkpoint_file("e" * 64), b"half")
    write_bytes(tmp_path / "assets" / "demo.safetensors", described("f" * 64, "z.pt"))
    found = shelf.checkpoints()
    assert [(info.name, info.builtin) for info in found] == [
        ("z.pt", True),
        ("B.pt", False),
        ("a.pt", False),
    ]
    info = shelf.checkpoint(SHA)
    assert (info.format, info.notes, info.bytes) == ("torch", ("x",), len(described()))
    assert shelf.checkpoint("f" * 64).path == tmp_path / "assets" / "demo.safetensors"
    assert shelf.has_checkpoint(SHA)
    assert not shelf.has_checkpoint("0" * 64)


def test_checkpoints_are_deleted_except_built_in_ones(shelf: Shelf, tmp_path: Path) -> None:
    write_bytes(shelf.checkpoint_file(SHA), described())
    write_bytes(tmp_path / "assets" / "demo.safetensors", described("f" * 64))
    shelf.delete_checkpoint(SHA)
    with pytest.raises(RunError, match="The checkpoint cccccccccccc… is not stored here"):
        shelf.delete_checkpoint(SHA)
    with pytest.raises(RunError, match="A built-in checkpoint cannot be deleted"):
        shelf.delete_checkpoint("f" * 64)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff" * 8,
        (10).to_bytes(8, "little") + b"{",
        (2).to_bytes(8, "little") + b"[]",
        (100_000).to_bytes(8, "little") + b"[" * 100_000,
        header_file({"sha256": SHA}),
        header_file({"sha256": "../x", "name": "a", "format": "b"}),
        header_file(["x"]),
        header_file({}, key="other"),
    ],
)
def test_a_damaged_checkpoint_is_told(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(data)
    with pytest.raises(RunError, match=r"The stored checkpoint x\.safetensors is damaged"):
        read_info(path)


@pytest.mark.parametrize("sha256", ["../x", "", "C" * 64])
def test_a_hash_is_no_path(shelf: Shelf, sha256: str) -> None:
    calls = [shelf.checkpoint, shelf.checkpoint_file, shelf.upload_path, shelf.discard_upload]
    calls += [shelf.data_path, shelf.delete_checkpoint, shelf.has_checkpoint]
    for call in calls:
        with pytest.raises(RunError, match="is no SHA-256"):
            call(sha256)


def test_data_are_found_in_either_format(shelf: Shelf) -> None:
    with pytest.raises(RunError, match="The data cccccccccccc… is not stored here"):
        shelf.data_path(SHA)
    write_bytes(shelf.data_file(SHA, "safetensors"), b"x")
    assert shelf.data_path(SHA).name == f"{SHA}.safetensors"


def test_what_nobody_finished_is_swept(shelf: Shelf) -> None:
    kept, stale = shelf.save_upload(b"new"), shelf.save_upload(b"old")
    part = shelf.home / "runs" / "0123456789abcdef" / ".x.part.npz"
    write_bytes(part, b"half")
    write_bytes(shelf.checkpoint_file(SHA), described())
    long_ago = time.time() - 100_000
    for path in (shelf.upload_path(stale), part, shelf.checkpoint_file(SHA)):
        os.utime(path, (long_ago, long_ago))
    shelf.sweep()
    assert shelf.upload_path(kept).exists()
    assert not part.exists()
    assert shelf.has_checkpoint(SHA)
    with pytest.raises(RunError, match="is not stored here"):
        shelf.upload_path(stale)
