"""How long a run will take, by the measured speed of a finished one of the same model.

The time of a run is dominated by forward passes: models on the lines and the plane times
samples. Without a finished run of the same architecture there is no honest estimate.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.figures.geometry import Summary

EDGES = 3
SPLITS = 2


def forward_passes(plane_points: int, line_points: int, test: int, train: int) -> int:
    """Return how many samples go through the network, all points of the run together."""
    lines = EDGES * line_points * (test + train)
    return lines + plane_points**2 * test + EDGES * (2 * test + train)


def estimated_seconds(
    summary: Summary, provenance: Mapping[str, Any], wanted: int, title: str
) -> float | None:
    """Return the seconds that `wanted` forward passes take, None where nothing is known.

    Args:
        summary, provenance: a finished run's.
        wanted: `forward_passes` of the run to come.
        title: the architecture of the run to come; another one has another speed.
    """
    if (summary.get("model") or {}).get("title") != title or not summary.get("plane"):
        return None
    seconds = provenance.get("seconds") or {}
    data = summary.get("data") or {}
    spent = seconds.get("evaluate")
    if not spent or "test" not in data or "train" not in data:
        return None
    lambdas = (summary.get("line") or {}).get("points", 25)
    done = forward_passes(
        summary["plane"]["resolution"],
        lambdas,
        data["test"]["samples"],
        data["train"]["samples"],
    )
    others = sum(value for key, value in seconds.items() if key != "evaluate")
    return others + spent * wanted / done
