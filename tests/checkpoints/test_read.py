"""Round trips of every format, and what the boundary says about files that are no files."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch
from safetensors.torch import save

from engine.checkpoints import Limits, fingerprint, read_checkpoint, read_checkpoint_bytes
from engine.errors import CheckpointError, LimitError
from tests.checkpoints.files import TENSORS, torch_bytes


def same(found, expected):
    assert set(found) == set(expected)
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype and found[name].shape == tensor.shape
        assert torch.equal(found[name], tensor)
        assert found[name].is_contiguous() and not found[name].requires_grad


@pytest.mark.parametrize("held", ["path", "bytes"])
@pytest.mark.parametrize("kind", ["safetensors", "torch", "torch flat", "npz", "npz deflated"])
def test_round_trip(kind, held, tmp_path):
    expected = dict(TENSORS)
    path = tmp_path / "file.of-any-name"
    if kind == "safetensors":
        path.write_bytes(save(expected, {"made": "here"}))
    elif kind.startswith("torch"):
        path.write_bytes(torch_bytes(expected, flat="flat" in kind))
    else:
        expected.pop("brain")
        saver = np.savez_compressed if "deflated" in kind else np.savez
        with path.open("wb") as file:
            saver(file, **{name: tensor.numpy() for name, tensor in expected.items()})
    if held == "path":
        checkpoint = read_checkpoint(path)
    else:
        checkpoint = read_checkpoint_bytes(path.read_bytes(), path.name)
    same(checkpoint.tensors, expected)
    assert checkpoint.format == kind.split()[0]
    assert checkpoint.name == path.name
    assert checkpoint.sha256 == fingerprint(expected)
    assert checkpoint.notes == ()


def test_names_for_messages_and_results(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(save({"w": torch.ones(1)}))
    assert read_checkpoint(path, name="model A").name == "model A"
    with pytest.raises(CheckpointError, match=r"^model A: it is empty \(0 bytes\)"):
        read_checkpoint_bytes(b"", "model A")
    with pytest.raises(CheckpointError, match=r"^'a\\nb': it is empty"):
        read_checkpoint_bytes(b"", "a\nb")


def test_what_is_read_does_not_change_with_the_file(tmp_path):
    path = tmp_path / "w.safetensors"
    path.write_bytes(save({"w": torch.ones(1000)}))
    checkpoint = read_checkpoint(path)
    with path.open("r+b") as file:
        file.seek(-4000, os.SEEK_END)
        file.write(b"\x00" * 4000)
    assert torch.equal(checkpoint.tensors["w"], torch.ones(1000))


def test_a_folder_a_pipe_and_nothing(tmp_path):
    with pytest.raises(CheckpointError, match="it is a folder; name the file"):
        read_checkpoint(tmp_path)
    with pytest.raises(CheckpointError, match="there is no such file"):
        read_checkpoint(tmp_path / "none.pt")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CheckpointError, match="it is no regular file"):
        read_checkpoint(tmp_path / "pipe")


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    path = tmp_path / "x"
    path.write_bytes(b"x")

    def refuse(*arguments):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", refuse)
    with pytest.raises(CheckpointError, match=r"it cannot be read \(Permission denied\)"):
        read_checkpoint(path)


def test_a_file_beyond_the_limit_is_refused_by_its_length(tmp_path):
    path = tmp_path / "huge.npz"
    with path.open("wb") as file:
        file.write(b"PK\x03\x04")
        file.truncate(9 << 30)  # sparse: takes no space
    with pytest.raises(LimitError, match=r"beyond its header it takes .* more than the limit"):
        read_checkpoint(path)


def test_a_checkpoint_is_read_only():
    checkpoint = read_checkpoint_bytes(save({"w": torch.ones(1)}), "w")
    with pytest.raises(TypeError):
        checkpoint.tensors["v"] = torch.ones(1)
    with pytest.raises(LimitError, match="it holds 1 tensors, more than the limit of 0"):
        read_checkpoint_bytes(save({"w": torch.ones(1)}), "w", limits=Limits(tensors=0))
