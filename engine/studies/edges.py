"""The three edges of the triangle A, B, π(B), as tiles and as barriers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

import numpy as np
import torch

from engine.data.task import Task
from engine.landscape import Span, barrier, line
from engine.studies.task import derived
from engine.studies.tiles import Tile, split_into_tiles

SPLITS = ("test", "train")

# Columns are A, B and π(B); each edge goes from its first model to its second.
EDGES: Mapping[str, tuple[int, int]] = {"naive": (0, 1), "rebasin": (0, 2), "orbit": (1, 2)}
MODELS = ("a", "b", "pi_b")


def edge_tiles(span: Span, points: int) -> dict[tuple[str, str], tuple[Tile, ...]]:
    """Return the tiles of every edge on every split; the ends are the models themselves."""
    tiles = {}
    for split in SPLITS:
        for name, (first, second) in EDGES.items():
            coefficients = torch.zeros(points, len(MODELS), dtype=torch.float64)
            coefficients[:, [first, second]] = line(points)
            tiles[name, split] = split_into_tiles(f"curve-{name}", span, coefficients, split)
    return tiles


def barrier_summary(lambdas: np.ndarray, curve: Mapping[str, np.ndarray]) -> dict[str, object]:
    """Return the barrier of one curve by every definition."""
    return asdict(barrier(lambdas, curve["loss"], curve["loss_se"], curve["accuracy"]))


def point_summary(
    curve: Mapping[str, np.ndarray], index: int, task: Task, reference: float | None
) -> dict[str, object]:
    """Return loss and accuracy with their standard errors, and what the task derives from them.

    Args:
        curve: values per point.
        index: of the point.
        task: of the loss.
        reference: the split's `baseline`, for a regression.
    """
    point: dict[str, object] = {name: float(values[index]) for name, values in curve.items()}
    return point | derived(task, float(curve["loss"][index]), reference)
