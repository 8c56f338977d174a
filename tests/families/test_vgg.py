"""Tests of engine.families.vgg: public layouts at several widths, against their own modules."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from engine.errors import UnknownArchitectureError
from engine.families import mlp, recognise, vgg
from engine.families.layout import read_layout
from tests.families.reference_resnet import AKAMASTER, ReferenceResNet
from tests.families.references import (
    PATTERNS,
    ChengyangfuVGG,
    KuangliuVGG,
    NamedVGG,
    RethinkVGG,
    TorchvisionVGG,
    assert_same_function,
    vgg_features,
)

TITLES = {"none": "no norm", "batch": "BatchNorm", "layer": "LayerNorm"}
POOLS = {
    "VGG11": "1, 2, 4, 6",
    "VGG13": "2, 4, 6, 8",
    "VGG16": "2, 4, 7, 10",
    "VGG19": "2, 4, 8, 12",
}


@pytest.mark.parametrize(
    ("depth", "width", "norm"),
    [
        ("VGG11", 2, "none"),
        ("VGG11", 3, "layer"),
        ("VGG13", 5, "batch"),
        ("VGG16", 4, "batch"),
        ("VGG16", 1, "layer"),
        ("VGG19", 2, "none"),
    ],
)
def test_kuangliu_layout(depth, width, norm):
    module = KuangliuVGG(vgg_features(PATTERNS[depth], width, norm), 8 * width)
    found = recognise(module.state_dict())
    assert found.title == f"{depth} ×{width / 64:g}, {TITLES[norm]}"
    assert (found.input_shape, found.classes) == ((3, 32, 32), 10)
    assert found.parameters == sum(p.numel() for p in module.parameters())
    gaps = f"Max-pools after convolutions {POOLS[depth]}: the index gaps of the convolutions, as in"
    assert any(sentence.startswith(f"{gaps} {depth}") for sentence in found.evidence)
    assert any("2×2 max-pooling follows the last" in sentence for sentence in found.assumptions)
    assert_same_function(module, found)


def test_width_one_has_its_usual_name():
    with torch.device("meta"):
        module = KuangliuVGG(vgg_features(PATTERNS["VGG16"], 64, "batch"), 512)
    found = recognise(module.state_dict())
    assert found.title == "VGG16 ×1, BatchNorm"
    assert found.parameters == 14_728_266
    assert "BatchNorm behind every convolution: running statistics." in found.evidence


@pytest.mark.parametrize("size", [1, 7])
def test_torchvision_layout(size):
    module = TorchvisionVGG(vgg_features(PATTERNS["VGG16"], 2, "none"), 16, size, 12)
    found = recognise(module.state_dict())
    assert found.input_shape == (3, 32, 32)
    if size == 7:
        assert "What is left, 1×1, is repeated to 7×7." in found.assumptions
    assert_same_function(module, found)


def test_torchvision_layout_of_imagenet():
    module = TorchvisionVGG(vgg_features(PATTERNS["VGG11"], 2, "batch"), 16, 7, 12)
    module.classifier[6] = nn.Linear(12, 1000)
    found = recognise(module.state_dict())
    assert found.input_shape == (3, 224, 224)
    assert_same_function(module, found, batch=2)


@pytest.mark.parametrize("parallel", [False, True])
def test_chengyangfu_layout(parallel):
    module = ChengyangfuVGG(vgg_features(PATTERNS["VGG13"], 3, "batch"), 24)
    state = module.state_dict()
    if parallel:
        state = {name.replace("features.", "features.module."): t for name, t in state.items()}
        found = recognise(state)
        assert found.names["conv.0.weight"] == "features.module.0.weight"
        assert found.config == recognise(module.state_dict()).config
    else:
        assert_same_function(module, recognise(state))


@pytest.mark.parametrize("norm", ["none", "layer", "batch"])
def test_rethink_layout_averages_at_the_end(norm):
    module = RethinkVGG(vgg_features(PATTERNS["VGG16"], 2, norm, bias=norm != "none"), 16)
    found = recognise(module.state_dict())
    assert any(s.startswith("Averaging 2×2 → 1×1 follows the last") for s in found.assumptions)
    assert_same_function(module, found)


def test_the_end_can_be_set():
    features = vgg_features(PATTERNS["VGG16"], 2, "batch")
    module = KuangliuVGG(nn.Sequential(*features[:-1], nn.AvgPool2d(2)), 16)
    assert_same_function(module, recognise(module.state_dict(), final_pool="average"))


def test_wrapped_names():
    module = KuangliuVGG(vgg_features(PATTERNS["VGG11"], 2, "batch"), 16)
    state = {f"net.backbone.{name}": tensor for name, tensor in module.state_dict().items()}
    found = recognise(state)
    assert found.names["head.linear.0.bias"] == "net.backbone.classifier.bias"
    assert found.config == recognise(module.state_dict()).config


def test_named_layers_follow_the_known_pattern():
    module = NamedVGG(3)
    found = recognise(module.state_dict())
    assert "Max-pools after convolutions 1, 2, 4, 6: the channels are VGG11's." in found.evidence
    assert_same_function(module, found)


def test_dropout_between_is_no_pool():
    module = KuangliuVGG(vgg_features(PATTERNS["VGG16"], 2, "batch", dropout=True), 16)
    found = recognise(module.state_dict())
    assert "Max-pools after convolutions 2, 4, 7, 10: the channels are VGG16's." in found.evidence
    assert_same_function(module, found)


@pytest.mark.parametrize("norm", ["layer", "group"])
def test_layer_norm_over_the_channels_or_the_image(norm):
    module = KuangliuVGG(vgg_features(PATTERNS["VGG11"], 2, norm), 16)
    over = "image" if norm == "group" else "channels"
    found = recognise(module.state_dict(), layer_norm=over)
    assert_same_function(module, found)


def test_a_network_of_its_own_for_grey_images():
    features = vgg_features("1 M 3 3 M", 4, "batch", channels=1)
    module = KuangliuVGG(features, 12 * 7 * 7)
    found = recognise(module.state_dict())
    assert found.title == "VGG-like, 3 convolutions and 1 linear layers, BatchNorm"
    assert found.input_shape == (1, 28, 28)
    assert_same_function(module, found)


def test_layer_norm_with_a_scale_per_pixel():
    module = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.LayerNorm((4, 32, 32)),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 6, 3, padding=1),
        nn.LayerNorm((6, 16, 16)),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(6 * 16 * 16, 5),
    )
    found = recognise(module.state_dict())
    assert (
        "No pooling follows the last convolution (final_pool=max|average|none)."
        in found.assumptions
    )
    assert_same_function(module, found)
    state = module.state_dict() | nn.LayerNorm((6, 8, 8)).state_dict(prefix="5.")
    with pytest.raises(
        UnknownArchitectureError, match=r"norm 5 \[6, 8, 8\] does not fit the 16×16"
    ):
        recognise(state)


def vgg11_state() -> dict[str, torch.Tensor]:
    return dict(KuangliuVGG(vgg_features(PATTERNS["VGG11"], 2, "none"), 16).state_dict())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"features.3.weight": torch.zeros(4, 3, 3, 3)},
            r"features\.3\.weight \[4, 3, 3, 3\] takes 3",
        ),
        ({"features.3.weight": torch.zeros(4, 2, 5, 5)}, r"features\.3\.weight .* is no 3×3 conv"),
        ({"classifier.weight": torch.zeros(10, 17)}, "takes 17 inputs, which is no square image"),
        ({"features.3.bias": None}, r"features\.3 has no bias, unlike features\.0"),
        ({"classifier.weight": None, "classifier.bias": None}, "There is no linear layer, a VGG"),
        ({"features.3.weight": None}, r"features\.3 has a bias \[4\] but no weight"),
    ],
)
def test_wrong_layers_are_named(change, message):
    state = {**vgg11_state(), **change}
    state = {name: tensor for name, tensor in state.items() if tensor is not None}
    with pytest.raises(UnknownArchitectureError, match=message):
        recognise(state)


def test_a_residual_network_is_never_taken_for_a_vgg():
    """With shortcut A and no norm its convolutions do form one chain."""
    state = ReferenceResNet(AKAMASTER, (4, 8), (1, 1), None, "A").state_dict()
    with pytest.raises(
        UnknownArchitectureError, match=r"layer1\.0\.conv1 stands in a block, as in"
    ):
        vgg.recognise(read_layout(state), {})
    del state["layer2.0.conv2.weight"]
    with pytest.raises(UnknownArchitectureError, match="The nearest is CIFAR ResNet"):
        recognise(state)


def test_each_family_says_what_it_misses():
    linear = read_layout(nn.Linear(3, 4).state_dict(prefix="fc."))
    with pytest.raises(UnknownArchitectureError, match="There is no convolution, a VGG has some"):
        vgg.recognise(linear, {})
    with pytest.raises(UnknownArchitectureError, match=r"features\.0 is a convolution, an MLP has"):
        mlp.recognise(read_layout(vgg11_state()), {})
