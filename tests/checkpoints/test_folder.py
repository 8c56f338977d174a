"""Folders as Hugging Face saves models: config.json beside the weights, whole or in shards."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from engine.checkpoints import Limits, fingerprint, load_checkpoint, read_folder
from engine.errors import CheckpointError, LimitError

TENSORS = {"w": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2), "c": torch.zeros(4)}
CONFIG = {"model_type": "gpt2", "n_head": 2}
INDEX = "model.safetensors.index.json"


@pytest.fixture
def folder(tmp_path) -> Path:
    """A folder of one weight file and its config."""
    path = tmp_path / "net"
    path.mkdir()
    save_file(TENSORS, path / "model.safetensors")
    (path / "config.json").write_text(json.dumps(CONFIG))
    return path


@pytest.fixture
def sharded(folder) -> Path:
    """A folder of two shards, their index, and a config."""
    (folder / "model.safetensors").unlink()
    save_file({"w": TENSORS["w"]}, folder / "one.safetensors")
    save_file({name: TENSORS[name] for name in ("b", "c")}, folder / "two.safetensors")
    index(folder, {"w": "one.safetensors", "b": "two.safetensors", "c": "two.safetensors"})
    return folder


def index(folder: Path, weight_map: object) -> None:
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))


def test_a_folder_is_read_with_its_config(folder):
    found = load_checkpoint(str(folder))
    assert found.name == "net/model.safetensors"
    assert dict(found.config) == CONFIG
    assert found.sha256 == fingerprint(TENSORS, config=CONFIG)
    assert found.sha256 != fingerprint(TENSORS)
    assert torch.equal(found.tensors["w"], TENSORS["w"])


def test_the_weights_alone_find_the_config_beside_them(folder):
    assert load_checkpoint(folder / "model.safetensors").sha256 == load_checkpoint(folder).sha256


def test_shards_are_the_whole(folder, sharded):
    found = load_checkpoint(sharded)
    assert set(found.tensors) == set(TENSORS)
    assert found.sha256 == fingerprint(TENSORS, config=CONFIG)
    assert found.notes == ("The weights were read from 2 shards.",)
    assert load_checkpoint(sharded / INDEX).sha256 == found.sha256


def test_a_config_that_names_no_model_is_none(folder):
    (folder / "config.json").write_text('{"architecture": "resnet18"}')
    found = read_folder(folder)
    assert found.config is None
    assert found.sha256 == fingerprint(TENSORS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"config\.json: it is no valid JSON"),
        ("[1]", r"config\.json: it is no JSON object"),
        ('{"model_type": "gpt2", "n_head": NaN}', r"NaN is no number of JSON"),
        ("[" * 100_000, r"config\.json: it is no valid JSON"),
    ],
)
def test_a_broken_config_is_refused(folder, text, message):
    (folder / "config.json").write_text(text)
    with pytest.raises(CheckpointError, match=message):
        read_folder(folder)


def test_a_config_of_a_megabyte_is_refused(folder):
    (folder / "config.json").write_text('{"model_type": "gpt2", "x": "' + "y" * (1 << 20) + '"}')
    with pytest.raises(LimitError, match=r"config\.json: it takes 1,048,6.. bytes, more than the"):
        read_folder(folder)


def test_folders_without_one_set_of_weights(tmp_path):
    with pytest.raises(CheckpointError, match="a folder without weights; a model's folder holds"):
        read_folder(tmp_path)
    for name in ("a", "b"):
        save_file(TENSORS, tmp_path / f"{name}.safetensors")
    with pytest.raises(CheckpointError, match=r"several weight files; .*: a\.safetensors, b\.safe"):
        read_folder(tmp_path)
    with pytest.raises(CheckpointError, match="absent: it cannot be read"):
        read_folder(tmp_path / "absent")


@pytest.mark.parametrize(
    ("weight_map", "message"),
    [
        (None, "its weight_map names no tensors"),
        ({}, "its weight_map names no tensors"),
        ({"w": "../one.safetensors"}, r"is in '?\.\./one\.safetensors'?, which is no safetensors"),
        ({"w": "/etc/passwd"}, "which is no safetensors file beside the index"),
        ({"w": "one.bin"}, "which is no safetensors file beside the index"),
        ({"w": 3}, "which is no safetensors file beside the index"),
        ({"w": "one.safetensors", "d": "one.safetensors"}, "no shard holds '?d'?, which the"),
        ({"w": "three.safetensors"}, r"net/three\.safetensors: there is no such file"),
        ({"w": "one.safetensors", "b": "two.safetensors"}, "holds '?c'?, which the index does not"),
        (
            {"w": "two.safetensors", "b": "two.safetensors", "c": "one.safetensors"},
            r"holds '?w'?, which the index places in '?two\.safetensors",
        ),
        ({str(i): f"{i}.safetensors" for i in range(1025)}, "it names more than 1024 shards"),
    ],
)
def test_an_index_that_does_not_fit_is_refused(sharded, weight_map, message):
    index(sharded, weight_map)
    with pytest.raises(CheckpointError, match=message):
        read_folder(sharded)


def test_an_index_that_is_none(sharded):
    (sharded / INDEX).write_text("[]")
    with pytest.raises(CheckpointError, match=r"net/model\.safetensors\.index\.json: it is no ind"):
        read_folder(sharded)


def test_all_shards_together_are_held_to_the_cap(sharded):
    size = (sharded / "two.safetensors").stat().st_size
    with pytest.raises(LimitError, match=r"net/two\.safetensors: with the shards before it"):
        read_folder(sharded, limits=Limits(header_bytes=size, total_bytes=64))
