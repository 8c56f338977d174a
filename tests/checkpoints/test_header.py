"""Headers alone: the same names, shapes and dtypes as reading all, without any tensor's bytes."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save

from engine.checkpoints import Limits, read_checkpoint, read_header_only
from engine.errors import CheckpointError, LimitError, UnsafeFileError
from tests.checkpoints.files import (
    TENSORS,
    attack_pickle,
    entry,
    pickle_in_zip,
    safetensors_bytes,
    torch_bytes,
    zip_bytes,
)

MEGABYTE = {"layer.weight": torch.ones(512, 512), "layer.bias": torch.ones(512)}


def npz_bytes(arrays: dict[str, np.ndarray]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def write(folder: Path, data: bytes, name: str = "m.bin") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


FILES = {
    "safetensors": save(TENSORS),
    "torch": torch_bytes(TENSORS),
    "torch flat": torch_bytes(TENSORS, flat=True),
    "wrapped": torch_bytes({"state_dict": {f"module.{n}": t for n, t in TENSORS.items()}}),
    "npz": npz_bytes({n: t.numpy() for n, t in TENSORS.items() if n != "brain"}),
}


@pytest.mark.parametrize("kind", FILES)
def test_it_says_what_reading_the_whole_file_says(kind, tmp_path):
    path = write(tmp_path, FILES[kind])
    header, whole = read_header_only(path), read_checkpoint(path)
    assert header.tensors.keys() == whole.tensors.keys()
    for name, tensor in whole.tensors.items():
        found = header.tensors[name]
        assert (found.shape, found.dtype) == (tensor.shape, tensor.dtype)
        assert found.device.type == "meta"
    assert (header.format, header.notes) == (whole.format, whole.notes)
    assert (header.problem, header.file_bytes) == (None, path.stat().st_size)


class Counting(io.FileIO):
    """A file that counts the bytes that are read of it."""

    total = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(-1 if size is None else size) or b""
        Counting.total += len(data)
        return data

    def readinto(self, buffer, /) -> int:
        count = super().readinto(buffer) or 0
        Counting.total += count
        return count


@pytest.mark.parametrize(
    "data",
    [
        save(MEGABYTE),
        torch_bytes(MEGABYTE),
        npz_bytes({n: t.numpy() for n, t in MEGABYTE.items()}),
    ],
    ids=["safetensors", "torch", "npz"],
)
def test_no_tensors_bytes_are_read(data, tmp_path, monkeypatch):
    path = write(tmp_path, data)
    assert len(data) > 1_000_000
    monkeypatch.setattr(Path, "open", lambda self, mode: Counting(self))
    Counting.total = 0
    assert read_header_only(path).tensors["layer.weight"].shape == (512, 512)
    assert 0 < Counting.total < 40_000


def test_a_file_that_is_cut_off_still_shows_its_tree(tmp_path):
    data = save(MEGABYTE)
    header = read_header_only(write(tmp_path, data[:1000]))
    assert set(header.tensors) == set(MEGABYTE)
    assert "it is cut off: its tensors need 1,050,624 bytes" in (header.problem or "")


def test_files_larger_than_the_machine_are_described(tmp_path):
    size = 1 << 40
    data = safetensors_bytes({"w": entry("F32", [size], [0, 4 * size])})
    header = read_header_only(write(tmp_path, data))
    assert header.tensors["w"].numel() == size


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (b"", CheckpointError, "it is empty"),
        (safetensors_bytes({"w": entry("F8", [1])}), CheckpointError, "has dtype 'F8'"),
        (safetensors_bytes({"a\nb": entry()}, b"0000"), CheckpointError, "control characters"),
        (pickle_in_zip(attack_pickle(print, "x")), UnsafeFileError, "print"),
        (zip_bytes({"a.npy": b"nothing"}), CheckpointError, "damaged or malformed"),
        (torch_bytes([torch.ones(2)]), CheckpointError, "it holds a list"),
    ],
)
def test_what_the_headers_show_to_be_wrong_is_refused(data, error, message, tmp_path):
    with pytest.raises(error, match=message):
        read_header_only(write(tmp_path, data), name="theirs")
    with pytest.raises(error, match=r"^theirs: "):
        read_header_only(write(tmp_path, data), name="theirs")


def test_the_caps_on_the_description_hold(tmp_path):
    with pytest.raises(LimitError, match="header takes"):
        read_header_only(write(tmp_path, save(TENSORS)), limits=Limits(header_bytes=20))
    with pytest.raises(LimitError, match="more than the limit of 2"):
        read_header_only(write(tmp_path, save(TENSORS)), limits=Limits(tensors=2))


def test_mappings_within_mappings_are_walked_once(tmp_path):
    inner: dict = {"weight": torch.ones(2)}
    for _ in range(40):
        inner = dict.fromkeys("abcdefgh", inner)
    with pytest.raises(CheckpointError, match="it holds no weights, only: 'a'"):
        read_header_only(write(tmp_path, torch_bytes(inner)))


def test_sizes_that_no_machine_counts_are_refused(tmp_path):
    data = safetensors_bytes({"w": entry("F32", [1 << 62, 0, 1 << 62], [0, 0])})
    try:
        header = read_header_only(write(tmp_path, data))
    except CheckpointError as error:
        assert "its sizes make no tensors" in str(error)
    else:
        assert header.tensors["w"].numel() == 0
