"""Hostile and broken safetensors files, each refused with its own message."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save

from engine.checkpoints import Limits, read_checkpoint, read_checkpoint_bytes
from engine.errors import CheckpointError, LimitError
from tests.checkpoints.files import entry, safetensors_bytes

GOOD = save({"w": torch.ones(4)})

BROKEN = {
    "header cut off": (GOOD[:20], "cut off inside its header"),
    "data cut off": (GOOD[:-3], "it is cut off: its tensors need 16 bytes, 13 are there"),
    "data appended": (GOOD + b"x", "1 bytes after the last tensor belong to no tensor"),
    "header no JSON": (safetensors_bytes(b"{nonsense}"), "its header is no valid JSON"),
    "header too deep": (safetensors_bytes(b'{"a":' + b"[" * 200_000), "no valid JSON"),
    "header not UTF-8": (safetensors_bytes(b'{"\xff\xfe": 1}'), "no valid JSON"),
    "metadata no text": (
        safetensors_bytes({"__metadata__": {"a": 1}}),
        "mapping from text to text",
    ),
    "metadata no mapping": (safetensors_bytes({"__metadata__": []}), "mapping from text to text"),
    "duplicate key": (
        safetensors_bytes(
            b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},'
            b'"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
            b"\0" * 4,
        ),
        "its header names 'w' twice",
    ),
    "overlap": (
        safetensors_bytes({"a": entry(), "b": entry(shape=(2,), offsets=(0, 8))}, b"\0" * 8),
        "the bytes of tensor 'b' overlap",
    ),
    "gap": (
        safetensors_bytes({"a": entry(), "b": entry(offsets=(8, 12))}, b"\0" * 12),
        "4 bytes before tensor 'b' belong to no tensor",
    ),
    "entry no mapping": (safetensors_bytes({"w": [1]}), "does not hold dtype, shape and data_off"),
    "entry with more": (
        safetensors_bytes({"w": {**entry(), "strides": [1]}}, b"\0" * 4),
        "does not hold dtype, shape and data_offsets",
    ),
    "dtype unknown": (
        safetensors_bytes({"w": entry("F8_E4M3", (4,))}, b"\0" * 4),
        "tensor 'w' has dtype 'F8_E4M3'; only float64",
    ),
    "dtype no text": (safetensors_bytes({"w": entry([1])}, b"\0" * 4), r"has dtype \[1\]"),
    "shape no list": (safetensors_bytes({"w": entry(shape=4)}, b"\0" * 4), "shape of .* no list"),
    "shape negative": (
        safetensors_bytes({"w": entry(shape=(-1, -1))}, b"\0" * 4),
        r"has the shape \[-1, -1\], which is no list of sizes",
    ),
    "shape of booleans": (
        safetensors_bytes({"w": entry(shape=(True,))}, b"\0" * 4),
        "which is no list of sizes",
    ),
    "shape too deep": (
        safetensors_bytes(b'{"w":{"dtype":"F32","shape":[' + b"[" * 900 + b"]" * 900 + b"]}}"),
        "does not hold dtype|no list of sizes|no valid JSON",
    ),
    "shape overflows": (
        safetensors_bytes({"w": entry(shape=(1 << 40, 1 << 40))}, b"\0" * 4),
        "its header gives it 4",
    ),
    "offsets reversed": (safetensors_bytes({"w": entry(offsets=(4, 0))}), r"are no \[begin, end\]"),
    "offsets of floats": (safetensors_bytes({"w": entry(offsets=(0.0, 4))}), "data_offsets"),
    "name empty": (safetensors_bytes({"": entry()}, b"\0" * 4), "a tensor has an empty name"),
    "name with controls": (
        safetensors_bytes({"w\u202e\x00": entry()}, b"\0" * 4),
        "holds control characters",
    ),
    "no tensors": (safetensors_bytes({}), "it holds no tensors at all"),
}

TOO_LARGE = {
    "header": (safetensors_bytes(b"{}", length=1 << 60), "its header takes .* more than the limit"),
    "bytes declared": (
        safetensors_bytes({"w": entry(shape=(1 << 34,), offsets=(0, 1 << 36))}),
        "its tensors take 68,719,476,736 bytes, more than the limit",
    ),
    "tensors": (
        safetensors_bytes({str(i): entry(shape=(0,), offsets=(0, 0)) for i in range(70_000)}),
        "it holds 70,000 tensors, more than the limit of 65,536",
    ),
    "axes": (safetensors_bytes({"w": entry(shape=(1,) * 40)}, b"\0" * 4), "has 40 axes"),
    "name": (safetensors_bytes({"w" * 600: entry()}, b"\0" * 4), "has 600 characters"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken(kind):
    data, message = BROKEN[kind]
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint_bytes(data, "x")


@pytest.mark.parametrize("kind", TOO_LARGE)
def test_too_large(kind):
    data, message = TOO_LARGE[kind]
    with pytest.raises(LimitError, match=message):
        read_checkpoint_bytes(data, "x")


def test_a_header_that_is_no_object(monkeypatch):
    monkeypatch.setattr("engine.checkpoints.safetensors_file.json.loads", lambda *a, **k: [])
    with pytest.raises(CheckpointError, match="its header is no JSON object"):
        read_checkpoint_bytes(GOOD, "x")


def test_what_only_the_library_refuses_keeps_its_reason(monkeypatch, tmp_path):
    def refuse(*arguments, **options):
        raise ValueError("reason")

    monkeypatch.setattr("engine.checkpoints.safetensors_file.safe_open", refuse)
    path = tmp_path / "w"
    path.write_bytes(GOOD)
    with pytest.raises(CheckpointError, match="the safetensors library refuses it: reason"):
        read_checkpoint(path)


def test_tensors_at_odd_addresses_are_read():
    tensors = {"a": torch.ones(3, dtype=torch.uint8), "b": torch.ones(2)}
    header = {"a": entry("U8", (3,), (0, 3)), "b": entry("F32", (2,), (3, 11))}
    data = b"\x01\x01\x01" + tensors["b"].numpy().tobytes()
    found = read_checkpoint_bytes(safetensors_bytes(header, data), "x", limits=Limits()).tensors
    assert torch.equal(found["b"], tensors["b"])
