"""Tests of engine.families.resnet: public layouts at several widths and depths."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from engine.errors import SpecError, UnknownArchitectureError
from engine.families import module_from, recognise
from tests.families.reference_resnet import (
    AKAMASTER,
    BLOCK_GROUPS,
    BLOCKGROUP,
    CHENYAOFO,
    RETHINK,
    WEIAICUNZAI,
    ReferenceResNet,
)
from tests.families.references import FlatLayerNorm, WrappedGroupNorm, assert_same_function


def batch(width: int, _side: int) -> nn.Module:
    return nn.BatchNorm2d(width)


def layer(width: int, _side: int) -> nn.Module:
    return FlatLayerNorm(width)


def group(width: int, _side: int) -> nn.Module:
    return WrappedGroupNorm(width)


def pixels(width: int, side: int) -> nn.Module:
    return nn.LayerNorm((width, side, side))


LAYOUTS = [
    (AKAMASTER, (16, 32, 64), (3, 3, 3), batch, "A", "ResNet20 ×1, BatchNorm, shortcut A"),
    (AKAMASTER, (4, 8, 16), (2, 2, 2), batch, "B", "ResNet14 ×0.25, BatchNorm, shortcut B"),
    (AKAMASTER, (5, 9, 12), (1, 2, 1), batch, "A", "ResNet10 5-9-12, BatchNorm, shortcut A"),
    (AKAMASTER, (8, 16, 32), (1, 1, 1), batch, "3×3", "ResNet8 ×0.5, BatchNorm, shortcut 3×3"),
    (AKAMASTER, (8, 16, 32), (1, 1, 1), layer, "3×3", "ResNet8 ×0.5, LayerNorm, shortcut 3×3"),
    (
        AKAMASTER,
        (4, 8, 16, 32),
        (2, 2, 2, 2),
        batch,
        "B",
        "ResNet18 ×0.0625, BatchNorm, shortcut B",
    ),
    (AKAMASTER, (4, 8), (1, 1), None, "A", "ResNet6 ×0.25, no norm, shortcut A"),
    (AKAMASTER, (6,), (2,), batch, "A", "ResNet6 ×0.375, BatchNorm"),
    (CHENYAOFO, (4, 8, 16), (1, 1, 1), batch, "B", "ResNet8 ×0.25, BatchNorm, shortcut B"),
    (RETHINK, (4, 8, 16), (1, 1, 1), layer, "B", "ResNet8 ×0.25, LayerNorm, shortcut B"),
    (RETHINK, (4, 8, 16), (1, 1, 1), batch, "B", "ResNet8 ×0.25, BatchNorm, shortcut B"),
    (WEIAICUNZAI, (4, 8, 16), (1, 1, 1), batch, "B", "ResNet8 ×0.25, BatchNorm, shortcut B"),
    (BLOCK_GROUPS, (4, 8, 16), (1, 2, 1), pixels, "B", "ResNet10 ×0.25, LayerNorm, shortcut B"),
]


@pytest.mark.parametrize(("names", "widths", "blocks", "norm", "shortcut", "title"), LAYOUTS)
def test_public_layouts(names, widths, blocks, norm, shortcut, title):
    module = ReferenceResNet(names, widths, blocks, norm, shortcut)
    found = recognise(module.state_dict())
    assert found.title == title
    assert (found.family, found.input_shape, found.classes) == ("resnet", (3, 32, 32), 10)
    assert found.parameters == sum(p.numel() for p in module.parameters())
    assert_same_function(module, found)


def test_layer_norm_over_the_image():
    module = ReferenceResNet(BLOCKGROUP, (4, 8, 16), (1, 2, 1), group, "3×3")
    found = recognise(module.state_dict(), layer_norm="image")
    assert "LayerNorm runs over the channels and the whole image, as given." in found.assumptions
    assert found.names["stem_norm.weight"] == "bn1.layer_norm.weight"
    assert_same_function(module, found)
    assumed = recognise(module.state_dict())
    assert any("(layer_norm=image)" in sentence for sentence in assumed.assumptions)


def test_evidence_and_assumptions_of_a_resnet20():
    module = ReferenceResNet(AKAMASTER, (16, 32, 64), (3, 3, 3), batch, "A")
    found = recognise(module.state_dict())
    assert found.parameters == 269_722  # 0.27 M, as published for option A
    assert found.evidence == (
        "9 residual blocks of two 3×3 convolutions in 3 stages (3, 3, 3) make 6·3+2 = 20 layers.",
        "Widths 16-32-64 behind the 3×3 stem conv1; linear leads to 10 classes.",
        "Shortcut A: no tensors at layer2.0 although a stage begins there.",
        "BatchNorm behind every convolution (bn1, …): running statistics.",
        "All 97 tensors are accounted for.",
    )
    assert found.assumptions[1:] == (
        "The first block of every stage but the first has stride 2.",
        "Option A takes every second pixel and adds zero channels on both sides "
        "(shortcut_padding=both|end).",
        "Images are 32×32 (image_size=…); the last stage is averaged to 1×1.",
        "The norms use eps 1e-05 (norm_eps=…).",
    )


def test_the_config_is_json_and_builds_the_same_module():
    module = ReferenceResNet(CHENYAOFO, (4, 8, 16), (1, 1, 1), batch, "B")
    found = recognise(module.state_dict())
    again = module_from(json.loads(json.dumps(found.config)))
    shapes = {name: tuple(t.shape) for name, t in again.state_dict().items()}
    state = module.state_dict()
    assert {found.names[n]: s for n, s in shapes.items() if n in found.names} == {
        n: tuple(t.shape) for n, t in state.items() if not n.endswith("num_batches_tracked")
    }
    assert not again.training


def test_wrapped_names():
    module = ReferenceResNet(AKAMASTER, (4, 8), (1, 1), batch, "B")
    state = {f"ema.model.{name}": tensor for name, tensor in module.state_dict().items()}
    found = recognise(state)
    assert found.config == recognise(module.state_dict()).config
    assert set(found.names.values()) == {n for n in state if not n.endswith("tracked")}


def test_grey_images_and_a_given_size():
    module = ReferenceResNet(AKAMASTER, (4, 8), (1, 1), batch, "B", channels=1)
    assert recognise(module.state_dict()).input_shape == (1, 28, 28)
    found = recognise(module.state_dict(), image_size=32)
    assert found.input_shape == (1, 32, 32)
    with pytest.raises(SpecError, match="image_size='big' is not possible"):
        recognise(module.state_dict(), image_size="big")


class EndPadded(ReferenceResNet):
    """Option A with all zero channels at the end."""

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        for owner, stride, _, missing in self.plan:
            block = self.get_submodule(owner)
            out = block.bn2(block.conv2(F.relu(block.bn1(block.conv1(x)))))
            if stride == 2:
                x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, missing))
            x = F.relu(out + x)
        return self.linear(x.mean((2, 3)))


def test_option_a_with_the_zeros_at_the_end():
    module = EndPadded(AKAMASTER, (4, 8, 16), (1, 1, 1), batch, "A")
    assert_same_function(module, recognise(module.state_dict(), shortcut_padding="end"))
    with pytest.raises(SpecError, match="shortcut_padding='left' is not possible"):
        recognise(module.state_dict(), shortcut_padding="left")


def test_a_norm_per_pixel_shows_the_image_size():
    module = ReferenceResNet(BLOCK_GROUPS, (4, 8), (1, 1), pixels, "B", image=16)
    assert recognise(module.state_dict()).input_shape == (3, 16, 16)
    name = "block_groups.1.blocks.0.norm1"
    state = module.state_dict() | nn.LayerNorm((8, 4, 4)).state_dict(prefix=f"{name}.")
    with pytest.raises(
        UnknownArchitectureError, match=rf"norm {name} \[8, 4, 4\] does not fit the 8×8"
    ):
        recognise(state)


def test_activation_override():
    class Silu(ReferenceResNet):
        def forward(self, x):
            x = F.silu(self.bn1(self.conv1(x)))
            for owner, *_ in self.plan:
                block = self.get_submodule(owner)
                x = F.silu(x + block.bn2(block.conv2(F.silu(block.bn1(block.conv1(x))))))
            return self.linear(x.mean((2, 3)))

    module = Silu(AKAMASTER, (4,), (2,), batch, "A")
    assert_same_function(module, recognise(module.state_dict(), activation="silu"))
    assert torch.isfinite(module(torch.zeros(2, 3, 32, 32))).all()
