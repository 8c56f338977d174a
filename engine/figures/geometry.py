"""Where the three models and the three edges lie on a plane, and what a point of it says on hover.

All coordinates are in units of ‖B − A‖, as in a result's summary: A at the origin, B at (1, 0),
π(B) wherever its part along B − A and its orthogonal part put it. Planes of other kinds say
their unit and axes themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.figures.numbers import percent
from engine.figures.palette import MARKERS
from engine.figures.task import Words

Arrays = Mapping[str, np.ndarray]
Summary = Mapping[str, Any]
Point = tuple[float, float]

# How a point's loss came about, by its number in `plane_evaluated`.
EVALUATED = ("interpolated", "evaluated on a part of the data", "evaluated on all data")
SAME_PLACE = 0.02  # in units of ‖B − A‖: markers closer than this would hide each other


@dataclass(frozen=True)
class Edge:
    """One straight path between two models; `curve` names its arrays in a result."""

    curve: str
    start: str
    end: str
    title: str
    dash: str


EDGES: tuple[Edge, ...] = (
    Edge("orbit", "B", "pi_b", "B → π(B), the same function", "dot"),
    Edge("naive", "A", "B", "A → B, as trained", "solid"),
    Edge("rebasin", "A", "pi_b", "A → π(B), re-basined", "solid"),
)


def positions(summary: Summary) -> dict[str, Point]:
    """Return the plane coordinates of the models that a summary places."""
    placed = (summary.get("plane") or {}).get("positions") or {}
    here = [name for name in MARKERS if name in placed]
    return {name: (float(placed[name][0]), float(placed[name][1])) for name in here}


def edges(summary: Summary) -> tuple[Edge, ...]:
    """Return the edges to draw: those of A, B and π(B); planes of other kinds have none."""
    return () if (summary.get("plane") or {}).get("kind") else EDGES


def trajectory(summary: Summary) -> np.ndarray:
    """Return where a training's checkpoints lie on the plane, in order, [K, 2]; K may be 0."""
    places = (summary.get("plane") or {}).get("trajectory") or ()
    return np.array(places, dtype=np.float64).reshape(-1, 2)


def axis_titles(summary: Summary) -> tuple[str, str]:
    """Return what the two axes are, the first one with the length of their unit."""
    plane = summary.get("plane") or {}
    unit, axes = plane.get("unit"), plane.get("axes") or ("along B − A", "towards π(B)")
    scale = f" = {unit:.3g}" if unit else ""
    if plane.get("kind") == "hessian":
        return f"{axes[0]}, distance", f"{axes[1]}, distance"
    if plane.get("kind") in ("random", "pca"):  # what the unit is takes a line: the table has it
        return f"{axes[0]}, unit{scale}", axes[1]
    return f"{axes[0]}, in units of {plane.get('unit_words', '‖B − A‖')}{scale}", axes[1]


def labels(points: Mapping[str, Point]) -> dict[str, str]:
    """Return each model's label; models that lie on one place share one ("B = π(B)")."""
    texts: dict[str, str] = {}
    for name, at in points.items():
        host = next((other for other in texts if _near(points[other], at)), None)
        if host is None:
            texts[name] = MARKERS[name].label
        else:
            texts[host] = f"{texts[host]} = {MARKERS[name].label}"
            texts[name] = ""
    return texts


def label_side(name: str, points: Mapping[str, Point]) -> str:
    """Return the text position that points away from the other models."""
    centre = np.mean(list(points.values()), axis=0)
    dx, dy = np.subtract(points[name], centre)
    if dy > 0.15:
        return "top center"
    side = "left" if dx < 0 else "right"
    return f"bottom {side}"


def path(
    edge: Edge, points: Mapping[str, Point], lambdas: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return u and v at each λ along an edge."""
    start, end = np.array(points[edge.start]), np.array(points[edge.end])
    at = (1 - lambdas)[:, None] * start + lambdas[:, None] * end
    return at[:, 0], at[:, 1]


def hover_texts(arrays: Arrays, split: str, told: Words) -> np.ndarray:
    """Return what each grid point says: loss, standard error, score; [V, U] of text."""
    loss = arrays[f"plane_{split}_loss"]
    error = arrays.get(f"plane_{split}_loss_se", np.full_like(loss, np.nan))
    accuracy = arrays.get(f"plane_{split}_accuracy", np.full_like(loss, np.nan))
    done = arrays.get("plane_done", np.ones(loss.shape, dtype=bool))
    origin = _origins(arrays, split)
    texts = np.empty(loss.shape, dtype=object)
    for at in np.ndindex(*loss.shape):
        said = point_text(float(loss[at]), float(error[at]), float(accuracy[at]), split, told)
        texts[at] = f"{said}{origin(at)}" if done[at] else "not computed yet"
    return texts


def _origins(arrays: Arrays, split: str) -> Callable[[tuple[int, ...]], str]:
    """Return a function that says where a point's loss comes from and how far off it may be."""
    kinds = arrays.get("plane_evaluated")
    if kinds is None:
        return lambda at: ""
    shape = np.shape(kinds)
    between, part = (
        np.asarray(arrays.get(f"plane_{split}_error_{name}", np.full(shape, np.nan)))
        for name in ("interpolation", "sampling")
    )

    def origin(at: tuple[int, ...]) -> str:
        text = f"<br>{EVALUATED[int(kinds[at])]}"
        for error, of in ((between[at], "interpolation"), (part[at], "part of the data")):
            if np.isinf(error):
                text += f"<br>± unbounded, {of}: a neighbour diverged"
            elif error > 0:
                text += f"<br>± {100 * error:.2g} % estimated, {of}"
        return text

    return origin


def point_text(loss: float, error: float, accuracy: float, split: str, told: Words) -> str:
    """Return the hover text of one point of a plane or line."""
    if not np.isfinite(loss):
        return f"diverged: the loss is {'infinite' if np.isinf(loss) else 'not a number'}"
    text = f"{split} loss <b>{told.loss(loss)}</b>"
    if np.isfinite(error):
        text += f" ± {told.loss(error)}"
    if np.isfinite(accuracy):
        text += f"<br>{told.task.score or 'score'} {percent(accuracy)} %"
    return text


def _near(one: Point, other: Point) -> bool:
    """Say whether two markers would cover each other."""
    return float(np.hypot(one[0] - other[0], one[1] - other[1])) < SAME_PLACE
