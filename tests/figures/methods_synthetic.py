"""A made-up comparison of methods of the shape that a real one stores."""

from __future__ import annotations

from typing import Any

import numpy as np

FLOOR = 0.1
VARIANTS = {"plain": "no repair", "repair": "REPAIR"}
# Height of each line over the floor, by method and set of repairs.
HEIGHTS = {
    "none": (1.0, 0.6),
    "weight": (0.3, 0.05),
    "activation": (0.4, 0.2),
}
TITLES = {"none": "no matching", "weight": "weight matching", "activation": "activation matching"}
PROVENANCE = {
    "seconds": {"methods": 12.0, "proof": 0.5},
    "methods": {
        "none": {"match": None, "lines": 2.0},
        "weight": {"match": 1.5, "lines": 2.0},
        "activation": {"match": 0.8, "lines": 2.0},
    },
}


def matching(objective: float) -> dict[str, Any]:
    return {
        "method": "a",
        "seed": 0,
        "restarts": [objective, objective - 4],
        "objective": objective,
        "objective_identity": 5.0,
        "trace": [5.0, objective],
        "sweeps": 3,
        "stop_reason": "converged",
        "stop_sentence": "A whole sweep brought no gain.",
        "moved_units": 15,
        "total_units": 16,
    }


def synthetic_methods(
    points: int = 25, heights: dict[str, tuple[float, float]] | None = None, failed: str = ""
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return (arrays, summary) as in a methods run's result.

    Args:
        points: λ values per line.
        heights: method → barrier without repair and with it.
        failed: a method that could not run.
    """
    heights = heights or HEIGHTS
    lambdas = np.linspace(0, 1, points)
    bump = 4 * lambdas * (1 - lambdas)
    rows: list[dict[str, Any]] = []
    losses = []
    for method, pair in heights.items():
        for variant, height in zip(VARIANTS, pair, strict=True):
            broken = method == failed
            losses.append(np.full(points, np.nan) if broken else FLOOR + height * bump)
            rows.append(row(method, variant, height, "too large: 9 GiB" if broken else None))
            if broken:
                break
    loss = np.stack(losses)
    arrays: dict[str, np.ndarray] = {"lambdas": lambdas}
    for split in ("test", "train"):
        arrays |= {f"{split}_loss": loss, f"{split}_loss_se": 0.02 * loss}
        arrays |= {f"{split}_accuracy": 1 - loss / 5, f"{split}_accuracy_se": 0.01 * loss}
    return arrays, {**_common(), "methods": _methods(heights, failed), "rows": rows}


def row(method: str, variant: str, height: float, problem: str | None) -> dict[str, Any]:
    barrier = {
        "git_rebasin": height,
        "git_rebasin_se": 0.01,
        "entezari": height,
        "frankle": height / 5,
        "midpoint": FLOOR + height,
        "worst": 0.5,
    }
    middle = {"loss": FLOOR + height, "loss_se": 0.01, "accuracy": 0.9 - height / 5}
    told = {} if problem else {"test": barrier, "train": barrier}
    return {
        "method": method,
        "variant": variant,
        "repairs": [] if variant == "plain" else [variant],
        "problem": problem,
        "barriers": told,
        "midpoint": {} if problem else {"test": middle, "train": middle},
    }


def _methods(heights: dict[str, tuple[float, float]], failed: str) -> list[dict[str, Any]]:
    same = {"max_abs_logit_difference": 8e-6, "max_abs_logit": 30.0, "samples": 200}
    return [
        {
            "id": name,
            "key": None if name == "none" else name,
            "title": TITLES[name],
            "options": {},
            "problem": "too large: 9 GiB" if name == failed else None,
            "same_as": None,
            "matching": None if name in ("none", failed) else matching(700.0 + place),
            "equivalence": None if name in ("none", failed) else same,
            "details": {"likeness": 0.61} if name == "activation" else {},
        }
        for place, name in enumerate(heights)
    ]


def _common() -> dict[str, Any]:
    together = {"loss": 0.08, "accuracy": 0.97, "calibration_error": 0.012}
    samples = {"samples": 200, "seed": 0, "sha256": "0" * 64}
    return {
        "version": 1,
        "seed": 0,
        "a": {"name": "mnist-mlp, seed 0", "sha256": "a" * 64},
        "b": {"name": "mnist-mlp, seed 1", "sha256": "b" * 64},
        "model": {"title": "MLP 784-512-512-512-10", "parameters": 932362},
        "proof": {"passed": True},
        "data": {"name": "mnist", "title": "mnist", "train": samples, "test": samples},
        "ensemble": {"problem": None, "test": together, "train": together},
        "repairs": {
            "wanted": ["repair"],
            "impossible": {},
            "samples": 200,
            "variants": [
                {"id": name, "title": title, "repairs": [] if name == "plain" else [name]}
                for name, title in VARIANTS.items()
            ],
        },
    }
