"""What a file states of its own network: kept as data, refused where it is no object."""

from __future__ import annotations

import pytest
import torch

from engine.checkpoints import (
    read_checkpoint,
    read_checkpoint_bytes,
    stated_metadata,
    stated_options,
    write_checkpoint,
)
from engine.checkpoints.stated import STATED_KEY
from engine.errors import CheckpointError, MismatchError
from engine.families import recognise_checkpoint
from engine.families.exported import check_same_config
from engine.training.transformers import HEADS, vit

TENSORS = {"0.weight": torch.ones(3, 4), "0.bias": torch.zeros(3)}


def test_what_is_stated_comes_back_as_options(tmp_path):
    path = tmp_path / "own.safetensors"
    write_checkpoint(TENSORS, path, stated_metadata({"heads": 4}))
    for read in (read_checkpoint(path), read_checkpoint_bytes(path.read_bytes(), "own")):
        assert stated_options(read.config) == {"heads": 4}


def test_it_belongs_to_the_content(tmp_path):
    path = tmp_path / "own.safetensors"
    found = []
    for options in ({}, {"heads": 4}, {"heads": 8}):
        write_checkpoint(TENSORS, path, stated_metadata(options))
        found.append(read_checkpoint(path).sha256)
    assert len(set(found)) == 3


def test_nothing_stated_is_no_config(tmp_path):
    path = tmp_path / "plain.safetensors"
    write_checkpoint(TENSORS, path, {"format": "pt"} | stated_metadata({}))
    assert read_checkpoint(path).config is None
    assert stated_options(None) == {}
    assert stated_options({"model_type": "gpt2", "n_head": 4}) == {}


@pytest.mark.parametrize(
    "text", ["{", "[1]", '{"heads": [4]}', '{"model_type": "gpt2"}', "[" * 9999, '{"a": null}']
)
def test_a_wrong_statement_is_refused(tmp_path, text):
    path = tmp_path / "wrong.safetensors"
    write_checkpoint(TENSORS, path, {STATED_KEY: text})
    with pytest.raises(CheckpointError, match=r"wrong\.safetensors: its metadata .* single values"):
        read_checkpoint(path)


def test_a_trained_transformer_is_seen_with_its_own_heads(tmp_path):
    path = tmp_path / "vit.safetensors"
    write_checkpoint(
        vit((1, 28, 28), 10, 16, 1).state_dict(), path, stated_metadata({"heads": HEADS})
    )
    recognition = recognise_checkpoint(read_checkpoint(path))
    assert any(f"{HEADS} heads of 4" in sentence for sentence in recognition.assumptions)


def test_two_files_that_state_different_networks_do_not_fit(tmp_path):
    found = []
    for heads in (2, 4):
        path = tmp_path / f"{heads}.safetensors"
        write_checkpoint(TENSORS, path, stated_metadata({"heads": heads}))
        found.append(read_checkpoint(path))
    with pytest.raises(MismatchError, match=r"heads=2, that of 4\.safetensors 4"):
        check_same_config(*found)
