"""The augmentation: its ranges, its geometry against known maps, repeatability."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from engine.training import augment as module
from engine.training.augment import MAX_DEGREES, ZOOM, affine_maps, augment


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_maps_lie_in_the_stated_ranges():
    maps = affine_maps(4000, generator())
    linear = maps[:, :, :2]
    zoom = 1 / torch.linalg.det(linear).abs().sqrt()
    assert ZOOM[0] <= zoom.min() < 0.81 and 1.19 < zoom.max() <= ZOOM[1] + 1e-5
    degrees = torch.rad2deg(torch.atan2(-linear[:, 1, 0], linear[:, 1, 1]))
    assert -MAX_DEGREES - 1e-3 <= degrees.min() < -29 and 29 < degrees.max() <= MAX_DEGREES + 1e-3
    mirrored = (torch.linalg.det(linear) < 0).float().mean().item()
    assert mirrored == pytest.approx(0.5, abs=0.03)
    shift = maps[:, :, 2].abs().amax(1)
    assert (shift <= (1 - 1 / zoom).abs() + 1e-5).all()
    assert torch.log(zoom).mean().item() == pytest.approx(math.log(0.96) / 2, abs=0.01)


def test_one_seed_one_augmentation():
    images = torch.rand(5, 3, 8, 8, generator=generator(9))
    assert augment(images, generator(1)).equal(augment(images, generator(1)))
    assert not augment(images, generator(1)).equal(augment(images, generator(2)))


@pytest.mark.parametrize(
    ("draws", "expected"),
    [
        ((0.0, 0.5, 0.9), lambda x: x),
        ((0.0, 0.5, 0.1), lambda x: x.flip(3)),
    ],
)
def test_without_zoom_and_rotation_an_image_is_kept_or_mirrored(draws, expected, monkeypatch):
    monkeypatch.setattr(module, "ZOOM", (1.0, 1.0))
    table = torch.tensor([*draws, 0.3, 0.8])[:, None].expand(5, 2)
    monkeypatch.setattr(torch, "rand", lambda *_, **__: table)
    images = torch.arange(2 * 3 * 4 * 4, dtype=torch.float32).reshape(2, 3, 4, 4)
    assert torch.allclose(augment(images, generator()), expected(images), atol=1e-4)


def test_a_quarter_turn_is_a_quarter_turn(monkeypatch):
    monkeypatch.setattr(module, "ZOOM", (1.0, 1.0))
    monkeypatch.setattr(module, "MAX_DEGREES", 90.0)
    table = torch.tensor([0.0, 1.0, 0.9, 0.5, 0.5])[:, None]
    monkeypatch.setattr(torch, "rand", lambda *_, **__: table)
    images = torch.arange(16, dtype=torch.float32).reshape(1, 1, 4, 4)
    assert torch.allclose(augment(images, generator()), images.rot90(-1, (2, 3)), atol=1e-4)


def test_zooming_in_enlarges_the_middle(monkeypatch):
    images = torch.rand(1, 1, 8, 8, generator=generator(3))
    monkeypatch.setattr(module, "ZOOM", (2.0, 2.0))
    table = torch.tensor([0.0, 0.5, 0.9, 0.5, 0.5])[:, None]
    monkeypatch.setattr(torch, "rand", lambda *_, **__: table)
    middle = F.interpolate(images[:, :, 2:6, 2:6], scale_factor=2, mode="bilinear")
    inside = (..., slice(1, 7), slice(1, 7))  # at its border `interpolate` repeats pixels
    assert torch.allclose(augment(images, generator())[inside], middle[inside], atol=1e-5)
