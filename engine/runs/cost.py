"""How long a comparison will take, by what was measured on this machine for the same model.

Time goes into samples that run through the network: points of lines and plane times samples, once
more over the training samples that every point needs for its statistics. The worker keeps, for
each architecture and precision, the seconds of one such sample and of all other stages. Without a
measured run of the model there is no honest estimate.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engine.runs.files import parse_json, write_bytes
from engine.runs.locks import FileLock

EDGES = 3
USUAL_PREVIEW = 0.15
"""Share of a grid's work that a preview to 1 % took on the measured planes (docs/landscape.md)."""
FILE = "speeds.json"


@dataclass(frozen=True)
class Work:
    """Samples that run through the network.

    Attributes:
        fixed: for the models and the lines.
        plane: for the plane, all its points.
        statistics: of both, those for the statistics of channels.
    """

    fixed: float
    plane: float
    statistics: float

    @property
    def total(self) -> float:
        """Everything together."""
        return self.fixed + self.plane


@dataclass(frozen=True)
class Speed:
    """What was measured: seconds of one sample, of the other stages, share of the last preview."""

    sample: float
    others: float
    preview: float = USUAL_PREVIEW

    def seconds(self, work: Work) -> float:
        """Return the seconds of a whole run."""
        return self.others + self.sample * work.total

    def preview_seconds(self, work: Work) -> float:
        """Return the seconds of the same run with a preview of its plane to 1 %."""
        return self.others + self.sample * (work.fixed + self.preview * work.plane)


def work_of(points: float, line_points: int, test: int, train: int, extra: int = 0) -> Work:
    """Return the samples of a run.

    Args:
        points: of the plane.
        line_points: of each edge, on each split.
        test, train: samples of each split.
        extra: training samples that each point needs for its statistics.
    """
    lines = EDGES * line_points * (test + train + 2 * extra)
    return Work(
        lines + EDGES * (2 * test + train),
        points * (test + extra),
        extra * (points + 2 * EDGES * line_points),
    )


def measured(
    summary: Mapping[str, Any], provenance: Mapping[str, Any], line_points: int
) -> Speed | None:
    """Return the speed of a finished comparison; None where it was not measured."""
    seconds, data = provenance.get("seconds") or {}, summary.get("data") or {}
    plane, spent = summary.get("plane") or {}, seconds.get("evaluate")
    if not spent or not plane or "test" not in data or "train" not in data:
        return None
    grid = plane["resolution"] * (plane.get("rows") or plane["resolution"])
    estimate = plane.get("estimate") or {}
    points = estimate.get("work") or grid
    statistics, reset = summary.get("statistics") or {}, summary.get("batch_norm") or {}
    work = work_of(
        points,
        line_points,
        data["test"]["samples"],
        data["train"]["samples"],
        statistics.get("samples") or reset.get("reset_samples") or 0,
    )
    others = sum(value for key, value in seconds.items() if key != "evaluate")
    previewed = plane.get("mode") == "progressive" and estimate.get("accuracy") == 0.01
    return Speed(spent / work.total, others, points / grid if previewed else USUAL_PREVIEW)


def speed_key(model: Mapping[str, Any], precision: str) -> str:
    """Return what speeds are kept by: an architecture, as it was recognised, and a precision."""
    return f"{model.get('title')} | {model.get('parameters')} | {precision}"


def keep_speed(home: Path, key: str, speed: Speed) -> None:
    """Keep a measured speed; the newest of each key counts."""
    with FileLock(home / "speeds.lock"):
        found = {**_read(home), key: asdict(speed)}
        write_bytes(home / FILE, json.dumps(found, sort_keys=True).encode())


def kept_speed(home: Path, key: str) -> Speed | None:
    """Return the speed that was measured last, None where there is none."""
    try:
        return Speed(**_read(home)[key])
    except (KeyError, TypeError):
        return None


def _read(home: Path) -> dict[str, Any]:
    try:
        found = parse_json((home / FILE).read_bytes())
    except (OSError, ValueError):  # no estimate is lost for good: the next run measures again
        return {}
    return found if isinstance(found, dict) else {}
