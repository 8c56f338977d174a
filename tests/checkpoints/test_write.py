"""Writing is whole or not at all, and what is written is read back bit for bit."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from engine.checkpoints import read_checkpoint, write_checkpoint
from engine.errors import CheckpointError
from tests.checkpoints.files import TENSORS


def test_round_trip_with_metadata(tmp_path):
    path = tmp_path / "w.safetensors"
    write_checkpoint(TENSORS, path, {"permutation": "of B"})
    found = read_checkpoint(path).tensors
    assert set(found) == set(TENSORS)
    assert all(torch.equal(found[name], TENSORS[name]) for name in TENSORS)
    with safe_open(path, framework="pt") as opened:
        assert opened.metadata() == {"permutation": "of B"}
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["w.safetensors"]


def test_views_tied_tensors_and_gradients_are_written(tmp_path):
    w = torch.arange(6.0, requires_grad=True).reshape(2, 3)
    content = {"w": w, "tied": w, "transposed": w.t(), "row": w[1], "wide": w[:1].expand(5, 3)}
    write_checkpoint(content, tmp_path / "w")
    found = read_checkpoint(tmp_path / "w").tensors
    assert all(torch.equal(found[name], tensor) for name, tensor in content.items())
    assert w.requires_grad


def test_equal_tensors_give_equal_files(tmp_path):
    for name, content in (("a", TENSORS), ("b", dict(reversed(TENSORS.items())))):
        write_checkpoint(content, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "w.safetensors"
    write_checkpoint({"w": torch.ones(1)}, path)
    before = path.read_bytes()

    def fail(*arguments):
        raise OSError("disk full")

    monkeypatch.setattr("engine.checkpoints.write.save_file", fail)
    with pytest.raises(OSError, match="disk full"):
        write_checkpoint({"w": torch.zeros(1)}, path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["w.safetensors"]


def test_what_could_not_be_read_again_is_not_written(tmp_path):
    with pytest.raises(CheckpointError, match=r"tensor 'w' has dtype torch\.complex64"):
        write_checkpoint({"w": torch.ones(1, dtype=torch.complex64)}, tmp_path / "w")
    with pytest.raises(CheckpointError, match="empty name"):
        write_checkpoint({"": torch.ones(1)}, tmp_path / "w")


def test_files_have_the_permissions_of_any_other(tmp_path):
    write_checkpoint({"w": torch.zeros(2)}, tmp_path / "a.safetensors")
    (tmp_path / "plain").touch()
    expected = (tmp_path / "plain").stat().st_mode
    assert (tmp_path / "a.safetensors").stat().st_mode == expected


@pytest.mark.parametrize("kind", ["folder", "pipe", "nothing"])
def test_what_is_no_file_is_not_replaced(kind, tmp_path):
    path = tmp_path / "x"
    if kind == "pipe":
        os.mkfifo(path)
    path = {"folder": tmp_path, "pipe": path, "nothing": ""}[kind]
    with pytest.raises(CheckpointError, match="is no regular file; name the file to write"):
        write_checkpoint(TENSORS, path)
    if kind == "pipe":
        assert stat.S_ISFIFO(Path(path).stat().st_mode)
