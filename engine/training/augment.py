"""Git Re-Basin's CIFAR augmentation: zoomed crop, mirror, rotation, in one resampling.

Per image: a zoom drawn log-uniformly from 0.8 … 1.2 with a crop window anywhere that it
fits, a mirror image with probability ½, and a rotation drawn uniformly from ±30°. The three
are composed into one affine map and resampled once, bilinearly, black outside, as augmax
does for the paper. Plain torch on whole batches.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

ZOOM = (0.8, 1.2)
MAX_DEGREES = 30.0


def affine_maps(count: int, generator: torch.Generator) -> Tensor:
    """Draw `count` affine maps from output to input coordinates, [count, 2, 3].

    Coordinates are torch's: (x, y), −1 … 1 across the image. The draws are on the CPU.
    """
    draws = torch.rand(5, count, generator=generator)
    low, high = math.log(ZOOM[0]), math.log(ZOOM[1])
    zoom = torch.exp(low + (high - low) * draws[0])
    angle = math.radians(MAX_DEGREES) * (2 * draws[1] - 1)
    mirror = torch.where(draws[2] < 0.5, -1.0, 1.0)
    # A window of size 1 / zoom keeps within the image while its centre is at most 1 − 1 / zoom
    # away; below zoom 1 the image keeps within the window.
    shift = (2 * draws[3:] - 1) * (1 - 1 / zoom).abs()
    cos, sin = torch.cos(angle) / zoom, torch.sin(angle) / zoom
    rows = (cos * mirror, sin * mirror, shift[0], -sin, cos, shift[1])
    return torch.stack(rows, dim=1).reshape(count, 2, 3)


def augment(images: Tensor, generator: torch.Generator) -> Tensor:
    """Return randomly zoomed, mirrored and rotated images, [N, C, H, W] in 0 … 1."""
    maps = affine_maps(len(images), generator).to(images.device)
    grid = F.affine_grid(maps, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", align_corners=False)
