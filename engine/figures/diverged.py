"""Points of a plane without a number: drawn as such, flat, as a surface and in the quick picture.

A loss that is not a number or infinite is never filled in from its neighbours, and neither is a
point that is not evaluated itself but lies nearest to such a one. A loss over the scale's cap is
a number: it has the last colour, and the legend says so.
"""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from engine.figures.geometry import Arrays
from engine.figures.palette import Palette
from engine.figures.plane_layers import LOSS, Look
from engine.figures.refine import lost
from engine.figures.scale import label

DIVERGED = "diverged"
ABOVE = "above cap"


def lost_points(arrays: Arrays, split: str) -> np.ndarray:
    """Return which points have no number, bool [V, U]; some may not be computed yet."""
    loss = np.asarray(arrays[f"plane_{split}_loss"])
    done = np.asarray(arrays.get("plane_done", np.ones(loss.shape, dtype=bool)))
    return lost(loss, done, np.asarray(arrays["plane_u"]), np.asarray(arrays["plane_v"]))


def seen_to_diverge(arrays: Arrays, split: str) -> np.ndarray:
    """Return which points were evaluated and have no finite loss, bool [V, U]."""
    loss = np.asarray(arrays[f"plane_{split}_loss"])
    done = np.asarray(arrays.get("plane_done", np.ones(loss.shape, dtype=bool)))
    scattered = "scatter_u" in arrays
    evaluated = np.asarray(arrays.get("plane_evaluated", np.ones(loss.shape))) > 0
    return done & ~np.isfinite(loss) & (evaluated | scattered)


def add_diverged(figure: go.Figure, arrays: Arrays, split: str, colours: Palette) -> None:
    """Hatch the ground under lost points, and cross those that were seen to diverge."""
    ground = np.argwhere(lost_points(arrays, split))
    if not len(ground):
        return
    u, v = np.asarray(arrays["plane_u"]), np.asarray(arrays["plane_v"])
    step = float(u[1] - u[0]), float(v[1] - v[0])
    figure.add_shape(
        type="path",
        path=" ".join(hatch((float(u[column]), float(v[row])), *step) for row, column in ground),
        layer="below",
        line={"width": 1, "color": colours.hatch},
        fillcolor=colours.diverged,
        name=DIVERGED,
        showlegend=False,
    )
    crossed = np.argwhere(seen_to_diverge(arrays, split))
    loss = np.asarray(arrays[f"plane_{split}_loss"])
    figure.add_scatter(
        x=[float(u[column]) for _, column in crossed],
        y=[float(v[row]) for row, _ in crossed],
        text=[why(float(loss[row, column])) for row, column in crossed],
        mode="markers",
        marker={"symbol": "x-thin", "size": 6, "line": {"width": 1.2, "color": colours.hatch}},
        name=DIVERGED,
        showlegend=False,
        hovertemplate="%{text}<extra></extra>",
    )


def why(loss: float) -> str:
    """Return what is wrong with a loss that is no finite number."""
    reason = "infinite" if np.isinf(loss) else "not a number"
    return f"{DIVERGED}: the loss is {reason}"


def legend_lines(arrays: Arrays, look: Look) -> list[str]:
    """Return what a legend says of points that are drawn otherwise than by their value."""
    loss = np.asarray(arrays[f"plane_{look.split}_loss"])
    bad = loss[seen_to_diverge(arrays, look.split)]
    lines = []
    if look.layer is LOSS and look.scale.capped:
        lines.append(f"■ {ABOVE}: loss ≥ {label(look.scale.cap)}")
    if len(bad):
        kinds = ["not a number"] * bool(np.isnan(bad).any())
        kinds += ["infinite"] * bool(np.isinf(bad).any())
        lines.append(f"✕ {DIVERGED}: {' or '.join(kinds)}")
    return lines


def hatch(centre: tuple[float, float], width: float, height: float) -> str:
    """Return an SVG path: the cell around `centre` with diagonal strokes.

    The contour around a point without a value ends at the neighbouring points, so the hatched
    ground reaches one whole step to each side and lies under the contours.
    """
    left, right = centre[0] - width, centre[0] + width
    low, high = centre[1] - height, centre[1] + height
    strokes = [f"M{left},{low}L{right},{low}L{right},{high}L{left},{high}Z"]
    for k in range(1, 8):
        t = k / 4
        x0, y0 = left + 2 * width * min(t, 1), low + 2 * height * max(t - 1, 0)
        x1, y1 = left + 2 * width * max(t - 1, 0), low + 2 * height * min(t, 1)
        strokes.append(f"M{x0},{y0}L{x1},{y1}Z")
    return "".join(strokes)
