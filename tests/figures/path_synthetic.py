"""A made-up path result: two curves, their planes, a finished training; no torch."""

from __future__ import annotations

from typing import Any

import numpy as np

T = np.linspace(0, 1, 25)
HEIGHTS = {("line", "b"): 0.9, ("path", "b"): 0.0, ("line", "pi_b"): 0.2, ("path", "pi_b"): 0.001}


def barrier(height: float | None, error: float = 0.01) -> dict[str, Any]:
    return {"git_rebasin": height, "git_rebasin_se": error, "worst": 0.5}


def point(loss: float | None) -> dict[str, Any]:
    return {"loss": loss, "loss_se": 0.01, "accuracy": 0.97, "accuracy_se": 0.003}


def one_path(end: str, bends: int = 1, diverged: str | None = None) -> dict[str, Any]:
    key = "b" if end == "B" else "pi_b"
    v = 2 * T * (1 - T) * 0.4
    heights = {line: HEIGHTS[line, key] for line in ("line", "path")}
    return {
        "end": end,
        "training": {"steps": 400, "taken": 400, "diverged": diverged},
        "lengths": {"straight": 76.4, "curve": 77.8},
        "bends": [{"from_a": 40.1, "from_end": 40.3, "off_line": 12.6}] * bends,
        "barriers": {
            line: {split: barrier(height) for split in ("test", "train")}
            for line, height in heights.items()
        },
        "midpoints": {
            line: {split: point(0.1 + height) for split in ("test", "train")}
            for line, height in heights.items()
        },
        "models": [{s: point(0.1) for s in ("test", "train")} for _ in range(bends + 2)],
        "plane": {
            "split": "test",
            "resolution": 5,
            "extent": [-0.3, 1.3, -0.6, 1.0],
            "positions": {"A": [0, 0], ("B" if key == "b" else "pi_b"): [1, 0], "bend": [0.5, 0.4]},
            "unit": 76.4,
            "angle_degrees": 18.3,
            "orthonormality": 1e-16,
            "degenerate": None,
            "through": 1,
            "bends": [[0.5, 0.4]] * bends,
            "bends_off": [0.0] * bends,
            "curve": np.stack([T, v], axis=1).tolist(),
            "curve_off": 0.02,
            "corner_difference": 0.0,
        },
        "basins": {"threshold": 0.2, "count": 1},
    }


def path_result(ends: tuple[str, ...] = ("b",), **more: Any) -> tuple[dict, dict[str, Any]]:
    """Return (arrays, summary)."""
    arrays: dict[str, np.ndarray] = {"t": T}
    paths: dict[str, Any] = {}
    axis = np.linspace(-0.5, 1.5, 5)
    for end in ends:
        paths[end] = one_path("B" if end == "b" else "π(B)", **more)
        for line in ("line", "path"):
            loss = 0.1 + 4 * HEIGHTS[line, end] * T * (1 - T)
            for split in ("test", "train"):
                own = f"{line}_{end}_{split}"
                arrays |= {f"{own}_loss": loss, f"{own}_loss_se": 0.1 * loss}
                arrays |= {f"{own}_accuracy": 1 - 0.3 * loss, f"{own}_accuracy_se": 0.01 * loss}
        grid = 0.1 + axis[:, None] ** 2 + axis**2
        arrays |= {f"plane_{end}_u": axis, f"plane_{end}_v": axis.copy()}
        arrays |= {f"plane_{end}_test_loss": grid, f"plane_{end}_test_accuracy": 1 - 0.1 * grid}
        arrays[f"training_{end}_loss"] = np.geomspace(1, 0.01, 400)
    summary = {
        "paths": paths,
        "training": {
            **{"shape": "bezier", "bends": more.get("bends", 1), "epochs": 20, "batch_size": 100},
            **{"optimiser": "adam", "rate": 1e-3, "weight_decay": 0.0, "seed": 0},
        },
        "data": {"train": {"samples": 2000}, "test": {"samples": 2000}},
        "task": {"kind": "classification"},
        "files": [f"bend-{end}-1.pt" for end in ends],
    }
    return arrays, summary
