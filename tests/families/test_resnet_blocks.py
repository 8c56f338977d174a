"""Tests of engine.families.resnet_blocks: what is wrong with a residual network is named."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from engine.errors import UnknownArchitectureError
from engine.families import recognise
from engine.families.layout import read_layout
from engine.families.resnet_blocks import read_resnet
from tests.families.reference_resnet import AKAMASTER, ReferenceResNet


def state_of(shortcut: str = "B", norm=lambda width, _: nn.BatchNorm2d(width)) -> dict[str, Tensor]:
    return dict(ReferenceResNet(AKAMASTER, (4, 8, 16), (2, 2, 2), norm, shortcut).state_dict())


def refused(state: dict[str, Tensor], message: str) -> None:
    with pytest.raises(UnknownArchitectureError, match=message) as refusal:
        recognise(state)
    assert "The nearest is CIFAR ResNet" in str(refusal.value)


@pytest.mark.parametrize(
    ("removed", "message"),
    [
        ("conv1.weight", r"one convolution \(the stem\), there are 0"),
        ("linear.weight", r"linear has a bias \[10\] but no weight"),
        ("layer2.1.conv2.weight", r"layer2\.1 should have two 3×3 convolutions .* it has: layer2"),
        ("layer2.1.bn2.bias", r"The norm layer2\.1\.bn2 has no bias, others have one"),
        ("layer2.1.bn2.weight", r"layer2\.1\.bn2 is a BatchNorm with a bias and no weight"),
        ("layer2.1.bn2.running_var", r"layer2\.1\.bn2 has running_mean but no running_var"),
        ("layer2.0.shortcut.0.weight", r"shortcut of layer2\.0 should be one convolution with"),
    ],
)
@pytest.mark.parametrize("shortcut", ["B", "3×3"])
def test_a_missing_tensor_is_named(removed, message, shortcut):
    state = state_of(shortcut)
    del state[removed]
    refused(state, message)


def test_every_single_tensor_matters():
    """Without any one tensor the state dict is refused; a head without bias is a network too."""
    state = state_of()
    for name in state:
        if name.endswith("num_batches_tracked") or name == "linear.bias":
            continue
        with pytest.raises(UnknownArchitectureError):
            recognise({other: tensor for other, tensor in state.items() if other != name})


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("conv1.weight", (4, 3, 5, 5), r"stem conv1\.weight \[4, 3, 5, 5\] is no 3×3 convolution"),
        ("conv1.weight", (5, 3, 3, 3), r"norm bn1 \[4\] does not fit the 5 channels of conv1"),
        (
            "layer1.0.conv1.weight",
            (4, 6, 3, 3),
            r"layer1\.0\.conv1\.weight .* takes 6 inputs, but conv1",
        ),
        ("layer1.0.conv1.weight", (4, 4, 1, 1), r"layer1\.0 should have two 3×3 convolutions"),
        ("layer1.1.conv2.weight", (4, 5, 3, 3), r"layer1\.1\.conv2\.weight .* takes 5 inputs, but"),
        ("layer1.1.conv2.weight", (5, 4, 3, 3), r"norm layer1\.1\.bn2 \[4\] does not fit the 5"),
        ("layer2.0.shortcut.0.weight", (8, 5, 1, 1), r"should lead from 4 to 8 channels"),
        ("layer2.0.shortcut.0.weight", (8, 4, 2, 2), r"shortcut\.0\.weight .* neither 1×1 nor 3×3"),
        (
            "layer2.0.shortcut.0.weight",
            (8, 4, 3, 3),
            r"layer2\.0 and layer3\.0 are not of one kind",
        ),
        ("linear.weight", (10, 15), r"linear\.weight \[10, 15\] takes 15 inputs, but layer3\.1"),
    ],
)
def test_a_wrong_shape_is_named(name, shape, message):
    refused(state_of() | {name: torch.zeros(shape)}, message)


def test_stages_and_blocks_in_between_are_missed():
    state = state_of()
    refused(
        {n: t for n, t in state.items() if "layer2." not in n}, "stage before layer3 is missing"
    )
    renamed = {n.replace("layer2.1", "layer2.2"): t for n, t in state.items()}
    refused(renamed, r"The block before layer2\.2 is missing")


def test_blocks_outside_the_family():
    state = state_of()
    extra = nn.Linear(4, 4).state_dict(prefix="layer1.0.se.")
    refused(state | extra, r"layer1\.0 holds a linear layer, layer1\.0\.se")
    bottleneck = {
        "layer1.0.conv1.weight": torch.zeros(4, 4, 1, 1),
        "layer1.0.convs.3.weight": torch.zeros(4, 4, 1, 1),
    }
    refused(state | bottleneck, r"layer1\.0 is a bottleneck of three convolutions, as in ResNet50")
    wide_stem = {n.replace("conv1", "stem", 1): t for n, t in state.items() if n[:5] == "conv1"}
    wide_stem = {name: torch.zeros(4, 3, 7, 7) for name in wide_stem}
    others = {name: tensor for name, tensor in state.items() if name[:5] != "conv1"}
    refused(others | wide_stem, r"stem\.weight \[4, 3, 7, 7\] is the 7×7 stem of an ImageNet")
    more = nn.BatchNorm2d(4).state_dict(prefix="layer1.0.bn3.")
    refused(state | more, r"layer1\.0 should have 2 norms .* as the stem has one; it has 3")
    second = nn.BatchNorm2d(16).state_dict(prefix="bn_last.")
    refused(state | second, "there should be one norm, there are 2: bn1, bn_last")
    head = nn.Linear(10, 10).state_dict(prefix="more.")
    refused(state | head, r"one linear layer \(the head\), there are 2: linear, more")


def test_widths_that_no_shortcut_bridges():
    narrowing = ReferenceResNet(AKAMASTER, (8, 16), (1, 1), None, "A").state_dict()
    narrowing["layer2.0.conv2.weight"] = torch.zeros(4, 16, 3, 3)
    narrowing["linear.weight"] = torch.zeros(10, 4)
    refused(narrowing, r"layer2\.0 narrows from 8 to 4 channels without a shortcut convolution")
    widening = ReferenceResNet(AKAMASTER, (8,), (1,), None, "A").state_dict()
    widening["layer1.0.conv2.weight"] = torch.zeros(12, 8, 3, 3)
    widening["linear.weight"] = torch.zeros(10, 12)
    refused(widening, r"layer1\.0 changes the width from 8 to 12 without a shortcut convolution")


def test_no_blocks_at_all():
    state = nn.Conv2d(3, 4, 3).state_dict(prefix="stem.")
    with pytest.raises(UnknownArchitectureError, match=r"No layers are named in stages and blocks"):
        read_resnet(read_layout(state).parts)
    with pytest.raises(UnknownArchitectureError, match=r"The nearest is VGG"):
        recognise(state)
