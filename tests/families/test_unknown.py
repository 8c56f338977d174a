"""Tests of engine.families.unknown: an unknown state dict says what was seen and what to do."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from engine.errors import UnknownArchitectureError
from engine.families import recognise


def refusal_of(state) -> str:
    with pytest.raises(UnknownArchitectureError) as refusal:
        recognise(state)
    return str(refusal.value)


def test_an_empty_state_dict():
    with pytest.raises(
        UnknownArchitectureError, match="There are no tensors: the state dict is empty"
    ):
        recognise({})


def test_a_transformer():
    encoder = nn.TransformerEncoderLayer(8, 2, 16)
    message = refusal_of(encoder.state_dict(prefix="encoder.layers.0."))
    assert "No known family fits these 12 tensors:" in message
    assert "  encoder.layers.0.linear1.weight [16, 8]" in message
    assert "… and 4 more" in message
    assert "The nearest is MLP" in message
    assert "self_attn.in_proj_weight [24, 8] is no weight, bias or statistic" in message
    assert "engine.capture(module, example_inputs)" in message
    assert "engine.compare(a, b, program=program)" in message
    assert 'engine.save_program(module, example_inputs, "model.pt2")' in message
    assert "A Hugging Face model comes with its config.json" in message


def test_a_published_network_with_a_tensor_too_few():
    state = {"conv1.weight": torch.zeros(4, 3, 7, 7), "fc.weight": torch.zeros(10, 4)}
    state |= nn.BatchNorm2d(4).state_dict(prefix="bn1.")
    for i in (1, 2):
        state[f"layer1.0.conv{i}.weight"] = torch.zeros(4, 4, 3, 3)
        state |= nn.BatchNorm2d(4).state_dict(prefix=f"layer1.0.bn{i}.")
    del state["layer1.0.bn2.weight"]
    message = refusal_of(state)
    assert "The nearest is ResNet, Wide ResNet or ResNeXt (torchvision's and timm's" in message
    assert "but: There is no layer1.0.bn2.weight." in message


@pytest.mark.parametrize(
    "module",
    [
        nn.LSTM(3, 4),
        nn.Sequential(nn.Conv1d(3, 4, 3), nn.Flatten(), nn.Linear(8, 2)),
        nn.Sequential(nn.Conv2d(3, 6, 5), nn.ReLU(), nn.Flatten(), nn.Linear(24, 2)),
        nn.Sequential(nn.ConvTranspose2d(3, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(24, 2)),
        nn.Bilinear(2, 3, 4),
        nn.PReLU(),
    ],
    ids=lambda module: type(module).__name__,
)
def test_other_modules_are_refused(module):
    assert "No known family fits" in refusal_of(module.state_dict(prefix="net."))
