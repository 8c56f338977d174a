"""Tiny learnable data files for the training tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def tiny_vectors(folder: Path, count: int = 60) -> Path:
    """Write 8-pixel uint8 samples of three classes: the brightest third tells the class."""
    return _write(folder / "vectors.npz", (1, 1, 9), count)


def tiny_images(folder: Path, count: int = 8, size: int = 8) -> Path:
    """Write 3-channel uint8 images of three classes."""
    return _write(folder / f"images{size}.npz", (3, size, size), count)


def _write(path: Path, shape: tuple[int, int, int], count: int) -> Path:
    generator = np.random.default_rng(0)
    targets = np.arange(count) % 3
    inputs = generator.integers(0, 100, (count, *shape), dtype=np.uint8)
    third = shape[-1] // 3
    for image, label in zip(inputs, targets, strict=True):
        image[..., third * label : third * (label + 1)] += 120
    np.savez(path, inputs=inputs, targets=targets)
    return path
