"""Uploads that are one model: which file is what, whole weights, shards, and every refusal."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import save_file

from engine.checkpoints import fingerprint, read_bundle, read_bundle_header, read_header
from engine.checkpoints.bundle import Bundle, sort_bundle
from engine.errors import CheckpointError, LimitError
from tests.program.exported_files import small_bytes

TENSORS = {
    "model.a": torch.arange(6.0).reshape(2, 3),
    "model.b": torch.ones(2),
    "head": torch.ones(1),
}
INDEX = "model.safetensors.index.json"
SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")


def write(folder, *, config=None, shards=False):
    """Write a model's files; the first shard's names share a prefix, the whole's do not."""
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    if not shards:
        save_file(TENSORS, folder / "model.safetensors")
        return folder
    where = {"model.a": SHARDS[0], "model.b": SHARDS[0], "head": SHARDS[1]}
    for shard in SHARDS:
        save_file({n: t for n, t in TENSORS.items() if where[n] == shard}, folder / shard)
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": where}))
    return folder


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["w.pt"], Bundle("w.pt")),
        (["config.json", "w.pt"], Bundle("w.pt", "config.json")),
        (["config (1).json", "w.pt"], Bundle("w.pt", "config (1).json")),
        (["config.json", "tokenizer.json", "w.pt", "README.md"], Bundle("w.pt", "config.json")),
        (["model.safetensors", "pytorch_model.bin"], Bundle("model.safetensors")),
        ([INDEX, *SHARDS, "config.json"], Bundle(INDEX, "config.json")),
    ],
)
def test_every_file_has_its_part(files, expected):
    assert sort_bundle(files) == expected


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["config.json"], "config.json: no weights are among the files; bring them together"),
        (["a.pt", "b.pt"], "a.pt, b.pt: these are the weights of several networks; keep one"),
        (["a.json", "b.json", "w.pt"], "a.json, b.json: none of them is called config.json"),
        ([f"{i}.pt" for i in range(8)], "and 2 more: these are the weights of several"),
    ],
)
def test_what_is_no_bundle_is_refused(files, message):
    with pytest.raises(CheckpointError, match=message):
        sort_bundle(files)


@pytest.mark.parametrize("shards", [False, True], ids=["whole", "shards"])
def test_the_config_belongs_to_the_content(tmp_path, shards):
    config = {"model_type": "llama", "n": 1}
    found = read_bundle(write(tmp_path, config=config, shards=shards))
    assert found.name == "model.safetensors"
    assert dict(found.config or {}) == config
    assert found.sha256 == fingerprint(TENSORS, config=config)
    header = read_bundle_header(tmp_path)
    assert {n: tuple(t.shape) for n, t in header.tensors.items()} == {
        n: tuple(t.shape) for n, t in found.tensors.items()
    }
    assert all(tensor.is_meta for tensor in header.tensors.values())
    assert dict(header.config or {}) == config


def test_a_folders_headers_are_those_of_its_shards(tmp_path):
    folder = write(tmp_path, config={"model_type": "llama"}, shards=True)
    assert set(read_header(folder).tensors) == set(TENSORS)
    assert read_header(folder / INDEX).notes == ("The weights lie in 2 shards.",)
    cut = folder / SHARDS[0]
    cut.write_bytes(cut.read_bytes()[:-4])
    assert (read_header(folder).problem or "").startswith(f"{SHARDS[0]}: it is cut off")
    (folder / SHARDS[1]).rename(folder / SHARDS[0])
    with pytest.raises(CheckpointError, match="'head', which the index places in 'model-00002"):
        read_header(folder)


def test_shards_that_did_not_come_along_are_named(tmp_path):
    folder = write(tmp_path, shards=True)
    (folder / SHARDS[1]).unlink()
    with pytest.raises(CheckpointError, match=rf"1 of its 2 shards .* \({SHARDS[1]}\); bring all"):
        read_bundle(folder)


def test_a_config_that_describes_nothing_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"config\.json: it names no model_type, so that it"):
        read_bundle(write(tmp_path, config={"hidden": 3}))
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"config\.json: it is no valid JSON"):
        read_bundle(tmp_path)
    (tmp_path / "config.json").write_text(" " * (1 << 21))
    with pytest.raises(LimitError, match=r"config\.json: it takes 2,097,152 bytes"):
        read_bundle_header(tmp_path)


def test_a_pt2_needs_no_config(tmp_path):
    (tmp_path / "m.pt2").write_bytes(small_bytes())
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    found = read_bundle(tmp_path)
    assert found.config is None
    assert found.notes[-1].startswith("config.json was left aside: a .pt2 says all")
