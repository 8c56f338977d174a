"""A made-up result of the shape that a real comparison stores: plausible, exact, quick.

The loss is a smooth function of the plane with one basin per place in `centres`; curves, ends,
midpoints and barriers are read off the same function, so that they agree with each other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

FLOOR = 0.09
POSITIONS = {"A": (0.0, 0.0), "B": (1.0, 0.0), "pi_b": (0.32, 0.74)}
PATHS = {"naive": ("A", "B"), "rebasin": ("A", "pi_b"), "orbit": ("B", "pi_b")}
JOINED = (((0.16, 0.37), (0.2, 0.85), 23.0), ((1.0, 0.0), (0.22, 0.5), 23.0))
APART = (
    ((0.0, 0.0), (0.24, 0.3), 0.0),
    ((1.0, 0.0), (0.24, 0.3), 0.0),
    ((0.32, 0.74), (0.24, 0.3), 0.0),
)
LAYERS = ("0", "2", "4", "6")
SHAPES = ([512, 784], [512, 512], [512, 512], [10, 512])
# The parts of a summary that the landscape has no say in.
MODEL: Mapping[str, Any] = {
    "model": {
        "family": "mlp",
        "title": "MLP 784-512-512-512-10",
        "evidence": ["Four matrices, each taking what the one before gives."],
        "assumptions": ["ReLU between the layers."],
        "parameters": 932362,
        "classes": 10,
        "input_shape": [784],
    },
    "symmetry": {
        "groups": [
            {"name": name, "size": 512, "layers": [f"{name}.weight", f"{name}.bias"]}
            for name in LAYERS[:3]
        ],
        "log10_copies": 3499.5,
        "moved_parameters": 932352,
        "total_parameters": 932362,
        "fixed": ["0.weight, axis 1: the input is fixed."],
        "ops_without_rule": [],
    },
    "proof": {
        "passed": True,
        "max_abs_difference": 3e-14,
        "relative": 2e-15,
        "tolerance": 1e-9,
        "trials": 2,
    },
    "equivalence": {
        "max_abs_logit_difference": 8.1e-6,
        "max_abs_logit": 31.0,
        "samples": 2000,
    },
    "matching": {
        "method": "weight",
        "seed": 0,
        "restarts": [742.0, 738.0],
        "objective": 742.0,
        "objective_identity": 12.0,
        "trace": [12.0, 520.0, 690.0, 735.0, 742.0],
        "sweeps": 4,
        "stop_reason": "CONVERGED",
        "stop_sentence": "A whole sweep brought no gain.",
        "moved_units": 1530,
        "total_units": 1536,
    },
    "distance": {
        "a_b": 61.1,
        "a_pi_b": 49.3,
        "b_pi_b": 60.7,
        "cosine_a_b": 0.01,
        "cosine_a_pi_b": 0.35,
    },
    "layers": [
        {
            "parameter": f"{name}.weight",
            "shape": shape,
            "moved": 0.998 if name != "6" else 0.0,
            "cosine_before": 0.01,
            "cosine_after": 0.3 + 0.02 * index,
            "distance_before": 30.0,
            "distance_after": 24.0 - index,
        }
        for index, (name, shape) in enumerate(zip(LAYERS, SHAPES, strict=True))
    ],
}
Basin = tuple[tuple[float, float], tuple[float, float], float]


def synthetic_result(
    *,
    resolution: int = 25,
    line_points: int = 25,
    joined: bool = True,
    samples: int = 2000,
    task: str | None = None,
    scale: float = 1.0,
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return (arrays, summary) as in a run's result.

    Args:
        resolution, line_points, samples: of the plane, the edges and the data.
        joined: puts A and π(B) into one basin.
        task: "language" or "regression"; None is a classification stored before there were tasks.
        scale: of all losses.
    """
    basins = JOINED if joined else APART
    u = np.linspace(-0.5, 1.5, resolution)
    grid = np.stack(np.meshgrid(u, u), axis=-1)
    loss = scale * landscape(grid, basins)
    lambdas = np.linspace(0, 1, line_points)
    arrays: dict[str, np.ndarray] = {"lambdas": lambdas, "plane_u": u, "plane_v": u.copy()}
    arrays |= _quantities("plane_test", loss, samples, scale)
    threshold = 2.5 * FLOOR * scale
    arrays["basin_labels"] = (loss < threshold).astype(np.int64)
    for name, (start, end) in PATHS.items():
        line = (1 - lambdas)[:, None] * np.array(POSITIONS[start]) + lambdas[:, None] * np.array(
            POSITIONS[end]
        )
        test = scale * landscape(line, basins)
        arrays |= _quantities(f"curve_{name}_test", test, samples, scale)
        arrays |= _quantities(f"curve_{name}_train", 0.8 * test, samples, scale)
    if task == "regression":
        arrays |= {
            name: np.full_like(a, np.nan) for name, a in arrays.items() if "accuracy" in name
        }
    summary = _summary(arrays, resolution, samples, threshold, joined)
    return arrays, summary if task is None else _asked(summary, task, scale)


def _asked(summary: dict[str, Any], task: str, scale: float) -> dict[str, Any]:
    """Return a summary with what a task adds; NaN as null, as results are stored."""
    summary["task"] = {"kind": task, "statement": f"It is {task}."}
    if task == "regression":
        summary["task"]["baseline"] = {"train": 2 * scale, "test": 2 * scale}
    for point in (*summary["ends"].values(), *summary["midpoints"].values()):
        for values in point.values():
            if task == "language":
                values["perplexity"] = float(np.exp(values["loss"]))
            else:
                values["r2"] = 1 - values["loss"] / (2 * scale)
    return json.loads(json.dumps(summary).replace("NaN", "null"))


def landscape(points: np.ndarray, basins: Sequence[Basin]) -> np.ndarray:
    """Return the loss at plane points [..., 2]: low in each basin, rising away from all."""
    wells = np.zeros(points.shape[:-1])
    for centre, (width, length), degrees in basins:
        angle = np.deg2rad(degrees)
        along = np.array([np.sin(angle), np.cos(angle)])
        across = np.array([np.cos(angle), -np.sin(angle)])
        offset = points - np.array(centre)
        squared = (offset @ across / width) ** 2 + (offset @ along / length) ** 2
        wells = np.maximum(wells, np.exp(-0.5 * squared**1.4))
    distance = np.sum((points - np.array([0.45, 0.3])) ** 2, axis=-1)
    return FLOOR + (1 - wells) * (0.85 + 1.3 * distance)


def stored(arrays: Mapping[str, np.ndarray], summary: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return the arrays as `result.npz` holds them, with the summary as a 0-d text array."""
    return {**arrays, "summary": np.array(json.dumps(summary))}


def _quantities(prefix: str, loss: np.ndarray, samples: int, scale: float) -> dict[str, np.ndarray]:
    """Return loss, its standard error, accuracy and its standard error."""
    accuracy = np.clip(0.99 - 0.11 * loss, 0.1, 1)
    return {
        f"{prefix}_loss": loss,
        f"{prefix}_loss_se": (0.3 * scale + 0.5 * loss) / np.sqrt(samples),
        f"{prefix}_accuracy": accuracy,
        f"{prefix}_accuracy_se": np.sqrt(accuracy * (1 - accuracy) / samples),
    }


def _point(arrays: Mapping[str, np.ndarray], name: str, index: int) -> dict[str, Any]:
    """Return one λ of a curve as the summary writes ends and midpoints."""
    kinds = ("loss", "loss_se", "accuracy", "accuracy_se")
    return {
        split: {kind: float(arrays[f"curve_{name}_{split}_{kind}"][index]) for kind in kinds}
        for split in ("train", "test")
    }


def _barrier(arrays: Mapping[str, np.ndarray], name: str, split: str) -> dict[str, float]:
    """Return a path's barrier by every definition."""
    lambdas = arrays["lambdas"]
    loss = arrays[f"curve_{name}_{split}_loss"]
    wrong = 1 - arrays[f"curve_{name}_{split}_accuracy"]
    worst = int(np.argmax(loss))
    return {
        "git_rebasin": float(loss[worst] - (loss[0] + loss[-1]) / 2),
        "git_rebasin_se": float(arrays[f"curve_{name}_{split}_loss_se"][worst]),
        "entezari": float(np.max(loss - ((1 - lambdas) * loss[0] + lambdas * loss[-1]))),
        "frankle": float(wrong.max() - (wrong[0] + wrong[-1]) / 2),
        "midpoint": float(loss[len(loss) // 2]),
        "worst": float(lambdas[worst]),
    }


def _summary(
    arrays: Mapping[str, np.ndarray],
    resolution: int,
    samples: int,
    threshold: float,
    joined: bool,
) -> dict[str, Any]:
    """Return the summary that belongs to the arrays."""
    middle = len(arrays["lambdas"]) // 2
    data = {"samples": samples, "seed": 0, "sha256": "c" * 64}
    return {
        "version": 1,
        "a": {"name": "mnist-mlp, seed 0", "sha256": "a" * 64, "notes": []},
        "b": {"name": "mnist-mlp, seed 1", "sha256": "b" * 64, "notes": ["“module.” removed."]},
        **MODEL,
        "midpoints": {name: _point(arrays, name, middle) for name in PATHS},
        "ends": {
            "a": _point(arrays, "naive", 0),
            "b": _point(arrays, "naive", -1),
            "pi_b": _point(arrays, "rebasin", -1),
        },
        "barriers": {
            name: {split: _barrier(arrays, name, split) for split in ("train", "test")}
            for name in PATHS
        },
        "plane": _plane(resolution),
        "basins": {
            "threshold": threshold,
            "threshold_rule": "2.5 times the lower loss of A and B.",
            "count": 2 if joined else 3,
            "basin_of": {"A": 1, "B": 2, "pi_b": 1 if joined else 3},
            "passes": {"A|B": 0.62, "A|pi_b": 0.1 if joined else 0.5, "B|pi_b": 0.7},
        },
        "data": {
            "name": "mnist",
            "title": "MNIST, built in",
            "train": data,
            "test": data,
            "mean": [0.0],
            "std": [1.0],
        },
        "batch_norm": {"layers": 0, "reset": False, "reset_samples": 0},
    }


def _plane(resolution: int) -> dict[str, Any]:
    """Return the plane's own part of the summary."""
    return {
        "split": "test",
        "resolution": resolution,
        "extent": [-0.5, 1.5, -0.5, 1.5],
        "positions": {name: list(at) for name, at in POSITIONS.items()},
        "unit": 61.1,
        "angle_degrees": 66.6,
        "orthonormality": 1e-7,
        "corner_difference": 3e-9,
        "degenerate": None,
    }
