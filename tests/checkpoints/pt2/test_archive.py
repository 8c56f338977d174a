"""What a `.pt2` holds: weights as a state dict, views of one storage, a graph of its own bytes."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest
import torch
from torch import nn

from engine.checkpoints import (
    Limits,
    fingerprint,
    read_checkpoint_bytes,
    read_header_only,
)
from engine.checkpoints.pt2 import pack_architecture, read_archive, unpack_architecture
from engine.checkpoints.pt2.content import MOST_CONSTANT_BYTES
from engine.errors import CheckpointError, LimitError, UnknownArchitectureError
from engine.families import recognise_checkpoint
from tests.program.exported_files import exported_bytes, small, small_bytes


class Views(nn.Module):
    """Weights that are views of one storage: apart, overlapping, transposed and equal."""

    def __init__(self) -> None:
        super().__init__()
        whole = torch.arange(24.0).reshape(4, 6)
        self.a, self.b = nn.Parameter(whole[:, :3]), nn.Parameter(whole[:, 1:4])
        self.c, self.d = nn.Parameter(whole.T[:3]), nn.Parameter(whole)
        self.e = self.d

    def forward(self, x):
        return x @ self.a + x @ self.b + (x @ self.c.T) + (x @ self.d + x @ self.e)[:, :3]


def test_views_of_one_storage_become_tensors_of_their_own():
    module = Views()
    checkpoint = read_checkpoint_bytes(exported_bytes(module, torch.zeros(2, 4)), "views.pt2")
    assert set(checkpoint.tensors) == {"a", "b", "c", "d", "e"}
    for name, value in module.state_dict().items():
        found = checkpoint.tensors[name]
        assert torch.equal(found, value)
        assert found.is_contiguous()
        assert found.untyped_storage().nbytes() == value.numel() * 4
    assert checkpoint.graph is not None
    assert unpack_architecture(checkpoint.graph).ties == {"e": "d"}


def test_the_fingerprint_covers_weights_and_graph():
    checkpoint = read_checkpoint_bytes(small_bytes(), "a.pt2")
    other = read_checkpoint_bytes(exported_bytes(small(), torch.ones(5, 6)), "b.pt2")
    assert checkpoint.sha256 == other.sha256, "example inputs and file names do not count"
    assert checkpoint.graph == other.graph
    assert checkpoint.sha256 == fingerprint(checkpoint.tensors, checkpoint.graph)
    assert checkpoint.sha256 != fingerprint(checkpoint.tensors)
    weights = read_checkpoint_bytes(exported_bytes(small(1), torch.ones(2, 6)), "c.pt2")
    assert weights.graph == checkpoint.graph
    assert weights.sha256 != checkpoint.sha256


def test_the_graph_names_no_source_and_keeps_its_constants():
    checkpoint = read_checkpoint_bytes(small_bytes(), "a.pt2")
    assert checkpoint.graph is not None
    assert b"exported_files.py" in small_bytes()
    assert b"exported_files.py" not in checkpoint.graph
    constants = unpack_architecture(checkpoint.graph).constants
    assert constants["lifted_tensor_0"].tolist() == [1, 2] * 4


def test_a_damaged_stored_graph_is_told():
    checkpoint = read_checkpoint_bytes(small_bytes(), "a.pt2")
    assert checkpoint.graph is not None
    stored = json.loads(checkpoint.graph)
    for data in ("AAAA", "not base64"):
        stored["constants"]["lifted_tensor_0"]["data"] = data
        with pytest.raises(CheckpointError, match="constant 'lifted_tensor_0' is damaged"):
            unpack_architecture(json.dumps(stored).encode())
    with pytest.raises(CheckpointError, match="the stored graph lacks the field 'graph_module'"):
        unpack_architecture(b"{}")


def test_large_constants_are_refused():
    exported = read_archive(io.BytesIO(small_bytes()), len(small_bytes()), Limits())
    huge = {"table": torch.empty(MOST_CONSTANT_BYTES + 1, dtype=torch.uint8, device="meta")}
    with pytest.raises(LimitError, match=r"its constants take .* persistent buffers"):
        pack_architecture(exported.document, huge, {}, {})


def test_the_header_shows_names_and_shapes_alone(tmp_path):
    path = tmp_path / "small.pt2"
    path.write_bytes(small_bytes())
    header = read_header_only(path)
    assert header.format == "pt2"
    assert {name: tensor.shape for name, tensor in header.tensors.items()} == {
        name: tensor.shape for name, tensor in small().state_dict().items()
    }
    assert all(tensor.device.type == "meta" for tensor in header.tensors.values())


def test_without_its_graph_a_pt2_is_not_guessed_at():
    bare = replace(read_checkpoint_bytes(small_bytes(), "a.pt2"), graph=None)
    with pytest.raises(UnknownArchitectureError, match=r"the architecture of a \.pt2 is its graph"):
        recognise_checkpoint(bare)


def test_constants_too_large_for_a_graph_are_not_read_for_headers(tmp_path, monkeypatch):
    (tmp_path / "a.pt2").write_bytes(small_bytes())
    monkeypatch.setattr("engine.checkpoints.pt2.content.MOST_CONSTANT_BYTES", 31)
    monkeypatch.setattr("engine.checkpoints.pt2.archive.load_payloads", None)
    with pytest.raises(LimitError, match=r"a\.pt2: its constants take 32 bytes, more than"):
        read_header_only(tmp_path / "a.pt2")
