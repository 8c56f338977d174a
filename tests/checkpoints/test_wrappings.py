"""Finding the weights inside what training code saves around them."""

from __future__ import annotations

import pytest
import torch

from engine.checkpoints.wrappings import AVERAGE_KEYS, PLAIN_KEYS, find_state
from engine.errors import CheckpointError

W = {"w": torch.ones(2)}
V = {"w": torch.zeros(2)}


@pytest.mark.parametrize("key", PLAIN_KEYS)
def test_each_wrapper_is_opened_and_reported(key):
    state, notes, lightning = find_state({key: W, "epoch": 3, "optimizer": {"state": {0: V}}})
    assert state == W and not lightning
    assert notes == (
        f"The weights were taken from '{key}'.",
        "Left aside, being no weights: 'epoch', 'optimizer'.",
    )


@pytest.mark.parametrize("key", AVERAGE_KEYS)
def test_plain_weights_are_preferred_to_averages(key):
    state, notes, _ = find_state({key: V, "state_dict": W})
    assert state["w"].sum() == 2
    assert f"under '{key}' were left aside; the plain weights are used." in notes[1]
    state, notes, _ = find_state({key: V, "optimizer": {"state": W}})
    assert state["w"].sum() == 0
    assert notes[0] == f"The weights are the moving averages (EMA) under '{key}'."


def test_nested_wrappers_and_single_unknown_keys():
    state, notes, _ = find_state({"checkpoint": {"model": {"state_dict": W}}, "epoch": 1})
    assert state == W
    assert [n for n in notes if "taken from" in n] == [
        f"The weights were taken from '{key}'." for key in ("checkpoint", "model", "state_dict")
    ]


def test_a_plain_state_dict_needs_no_notes():
    assert find_state(W) == (W, (), False)


def test_what_is_no_tensor_in_a_state_dict_is_reported():
    state, notes, _ = find_state({**W, "_extra": None, **{f"x{i}": i for i in range(9)}})
    assert set(state) == {"w"}
    assert notes[0].startswith("Left aside, being no tensors: '_extra', 'x0'")
    assert notes[0].endswith("and 2 more.")


def test_lightning_is_told_by_its_version():
    _, notes, lightning = find_state({"state_dict": W, "pytorch-lightning_version": "2.1.0"})
    assert lightning
    assert notes[0] == "It is a Lightning checkpoint (version '2.1.0')."


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (torch.ones(1), "a single tensor without a name"),
        ([W], "it holds a list, not a mapping"),
        ({}, "it holds no tensors at all"),
        ({"epoch": 1, "rate": 0.1}, "it holds no weights, only: 'epoch', 'rate'"),
        ({"optimizer": {"state": W}}, "it holds no weights, only: 'optimizer'"),
        ({"generator": W, "critic": V}, r"several sets of tensors \('generator', 'critic'\)"),
        ({"a": {"a": {"a": {"a": {"a": {"a": {"a": W}}}}}}}, "no weights|within six levels"),
    ],
)
def test_what_holds_no_weights(content, message):
    with pytest.raises(CheckpointError, match=message):
        find_state(content)


def test_mappings_that_hold_themselves_or_each_other_many_times():
    loop: dict = {}
    loop["loop"] = loop
    with pytest.raises(CheckpointError, match="it holds no weights"):
        find_state(loop)
    level: dict = {"end": 1}
    for _ in range(30):
        level = {str(i): level for i in range(30)}
    with pytest.raises(CheckpointError, match="it holds no weights"):
        find_state(level)


def test_wrappers_within_wrappers_have_an_end():
    content: dict = W
    for _ in range(9):
        content = {"state_dict": content, "other": W}
    with pytest.raises(CheckpointError, match="no named tensors within six levels"):
        find_state(content)
