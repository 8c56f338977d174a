"""Published networks as stored listings: names and shapes, and what the library itself computed.

`published.json` was written once by `benchmarks/published_listings.py` with the real libraries.
A listing has, per owner, its tensors and their shapes. Small networks also have the logits
that the library gave for `weights` and `image`, which are drawn from numpy's frozen generator.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from functools import cache
from math import prod, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

STORED = Path(__file__).with_name("published.json")
Shapes = Mapping[str, tuple[int, ...]]


@cache
def stored() -> dict[str, Any]:
    """Return all entries by name."""
    return json.loads(STORED.read_text())


def shapes_of(entry: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Return tensor -> shape of one entry."""
    shapes = {}
    for line in entry["tensors"]:
        owner, *leaves = line.split(" ")
        for leaf in leaves:
            name, _, shape = leaf.partition("=")
            full = f"{owner}.{name}" if owner != "-" else name
            shapes[full] = tuple(int(size) for size in shape.split(",") if size)
    return shapes


def lines_of(shapes: Shapes) -> list[str]:
    """Return the lines from which `shapes_of` makes the same shapes."""
    owners: dict[str, list[str]] = {}
    for name, shape in shapes.items():
        owner, _, leaf = name.rpartition(".")
        owners.setdefault(owner or "-", []).append(f"{leaf}={','.join(map(str, shape))}")
    return [" ".join((owner, *leaves)) for owner, leaves in owners.items()]


def unread(shapes: Shapes) -> dict[str, Tensor]:
    """Return tensors of these shapes that hold no values, as in a file's header."""
    return {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}


def weights(shapes: Shapes) -> dict[str, Tensor]:
    """Return the weights of a small network: of the size that training starts from."""
    return {name: torch.from_numpy(_values(name, shape)) for name, shape in shapes.items()}


def image(shape: tuple[int, ...], batch: int = 2) -> Tensor:
    """Return the images that the logits belong to."""
    drawn = np.random.RandomState(7).standard_normal((batch, *shape))
    return torch.from_numpy(drawn.astype(np.float32))


def _values(name: str, shape: tuple[int, ...]) -> np.ndarray:
    uniform = np.random.RandomState(zlib.crc32(name.encode())).random_sample(prod(shape))
    if name.endswith("running_var"):
        values = 0.5 + uniform
    elif len(shape) < 2 or (shape[1:] == (1, 1) and len(shape) == 3):
        values = 0.4 * (uniform - 0.5) + (not name.endswith(("bias", "running_mean")))
    else:
        values = 2 * (uniform - 0.5) * sqrt(3 / max(1, prod(shape[1:])))
    return values.reshape(shape).astype(np.float32)
