"""Tests of engine.families.vgg_pools: where pools are and how large images are."""

from __future__ import annotations

import pytest
from torch import nn

from engine.errors import SpecError, UnknownArchitectureError
from engine.families import recognise
from tests.families.references import PATTERNS, KuangliuVGG, assert_same_function, vgg_features


def kuangliu(pattern: str, inputs: int, norm: str = "none", channels: int = 3, classes: int = 10):
    features = vgg_features(pattern, 2, norm, channels=channels)
    return KuangliuVGG(features, inputs, classes)


@pytest.mark.parametrize(
    ("pattern", "inputs", "channels", "image"),
    [
        (PATTERNS["VGG11"], 16, 3, 32),
        (PATTERNS["VGG11"], 16 * 4 * 4, 3, 128),
        (PATTERNS["VGG11"], 16 * 3 * 3, 3, 96),
        (PATTERNS["VGG11"], 16, 1, 32),
        ("1 M 2 M 3", 6 * 8 * 8, 3, 32),
        ("1 M 2 M 3", 6 * 7 * 7, 1, 28),
        ("1 M 2 M 3 M", 6 * 4 * 4, 3, 32),
        ("1 M 2 M 3 M", 6 * 3 * 3, 1, 28),
        ("1 M 2 2", 4 * 32 * 32, 3, 64),
    ],
)
def test_the_image_size_follows_from_the_first_linear_layer(pattern, inputs, channels, image):
    module = kuangliu(pattern, inputs, channels=channels)
    found = recognise(module.state_dict())
    assert found.input_shape == (channels, image, image)
    assert_same_function(module, found, traced=False)


def test_a_global_average():
    features = vgg_features("1 M 2 M 3", 2, "batch")
    module = KuangliuVGG(nn.Sequential(*features, nn.AdaptiveAvgPool2d(1)), 6)
    found = recognise(module.state_dict())
    assert "What is left, 8×8, is averaged to 1×1." in found.assumptions
    assert_same_function(module, found)


def test_pools_can_be_given():
    module = kuangliu("1 1 M 2 M", 4 * 8 * 8)
    with pytest.raises(
        UnknownArchitectureError, match=r"do not show where the max-pools are.*pools="
    ):
        recognise(
            {n.replace("features.2", "features.20"): t for n, t in module.state_dict().items()}
        )
    found = recognise(module.state_dict(), pools=[2, 3])
    assert "Max-pools where given." in found.evidence
    assert_same_function(module, found, traced=False)


@pytest.mark.parametrize("pools", [3, "2", [0], [4], [1.5]])
def test_impossible_pools_are_refused(pools):
    state = kuangliu("1 1 M 2 M", 4 * 8 * 8).state_dict()
    with pytest.raises(SpecError, match=r"pools=.* is not possible: give"):
        recognise(state, pools=pools)


def test_impossible_sizes_are_refused():
    state = kuangliu("1 1 M 2 M", 4 * 8 * 8).state_dict()
    with pytest.raises(SpecError, match="image_size=0 is not possible: give a positive number"):
        recognise(state, image_size=0)
    with pytest.raises(
        UnknownArchitectureError, match="Max-pooling 1× leaves nothing of an image of 1×1"
    ):
        recognise(state, image_size=1)
    with pytest.raises(SpecError, match="final_pool='mean' is not possible: choose one of max"):
        recognise(state, final_pool="mean")


def test_a_given_image_size_is_kept():
    module = kuangliu("1 1 M 2 M", 4 * 8 * 8)
    found = recognise(module.state_dict(), image_size=64)
    assert found.input_shape == (3, 64, 64)
    assert "Images are 64×64, as given." in found.assumptions


def test_the_usual_image_size_comes_first():
    """2×2 at the end is CIFAR without the last pool, or Tiny ImageNet with it: both can be had."""
    state = kuangliu(PATTERNS["VGG11"], 16 * 2 * 2).state_dict()
    assert (recognise(state).input_shape, recognise(state).config["final_pool"]) == (
        (3, 32, 32),
        "none",
    )
    module = kuangliu(PATTERNS["VGG11"], 16 * 2 * 2)
    found = recognise(state, image_size=64)
    assert found.config["final_pool"] == "max"
    assert_same_function(module, found, traced=False)
