"""The same plane as a surface in three dimensions, the edges and models lying on it.

The edges' heights are the exact losses of the 1D curves, not the grid's interpolation.
"""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from engine.figures.diverged import ABOVE, legend_lines
from engine.figures.geometry import (
    Arrays,
    Summary,
    axis_titles,
    edges,
    hover_texts,
    labels,
    path,
    positions,
    trajectory,
)
from engine.figures.palette import MARKERS, palette
from engine.figures.plane import NO_PLANE, colorbar
from engine.figures.plane_layers import Look, layer_of, layer_values, look_at
from engine.figures.refine import filled
from engine.figures.scale import LossScale, label
from engine.figures.style import empty_figure, styled
from engine.figures.task import words

HEIGHT = 620
STEM = 0.22  # of the height
LIFT = 0.022  # of the height, so that lines lie on the surface and not in it


def surface_figure(
    arrays: Arrays,
    summary: Summary,
    *,
    theme: str = "light",
    log: bool = True,
    cap: float | None = None,
    layer: str = "loss",
) -> go.Figure:
    """Draw the plane of a result as a surface; arguments as for `plane_figure`.

    The height is the loss; a layer of errors colours it.
    """
    colours = palette(theme)
    plane = summary.get("plane") or {}
    split = plane.get("split", "test")
    if f"plane_{split}_loss" not in arrays:
        return empty_figure(plane.get("degenerate") or NO_PLANE, colours)
    look = look_at(arrays, colours, split, log=log, cap=cap)
    shown = look_at(arrays, colours, split, layer_of(arrays, layer, split), log=log, cap=cap)
    figure = go.Figure()
    _add_surface(figure, arrays, summary, look, shown)
    _add_edges(figure, arrays, summary, look)
    _add_trajectory(figure, arrays, summary, look)
    _add_models(figure, summary, look)
    styled(figure, colours, height=HEIGHT)
    figure.update_layout(margin={"l": 0, "r": 0, "t": 0, "b": 0}, scene=_scene(look, summary))
    _add_notes(figure, arrays, look)
    return figure


def _add_surface(
    figure: go.Figure, arrays: Arrays, summary: Summary, look: Look, shown: Look
) -> None:
    """Add the surface with level lines, coloured by `shown`; diverged points are holes."""
    u, v = arrays["plane_u"], arrays["plane_v"]
    values = look.scale.value(arrays[f"plane_{look.split}_loss"])
    done = np.asarray(arrays.get("plane_done", np.ones(values.shape, dtype=bool)))
    colour = shown.scale.value(layer_values(arrays, shown.layer, shown.split))
    low, high = shown.scale.bounds
    levels = look.scale.contours()
    figure.add_surface(
        x=u,
        y=v,
        z=filled(values, done, u, v),
        surfacecolor=filled(colour, done, u, v),
        cmin=low,
        cmax=high,
        colorscale=shown.layer.colours,
        colorbar={**colorbar(shown), "len": 0.7},
        contours={"z": {"show": True, **levels, "color": "rgba(255,255,255,.28)", "width": 1}},
        lighting={"ambient": 0.72, "diffuse": 0.6, "specular": 0.08, "roughness": 0.9},
        text=hover_texts(arrays, look.split, words(summary)),
        hovertemplate="%{text}<br>(%{x:.2f}, %{y:.2f})<extra></extra>",
        name=shown.title,
    )


def _add_notes(figure: go.Figure, arrays: Arrays, look: Look) -> None:
    """Say what flat ground at the top is, and what holes are."""
    notes = []
    if look.scale.capped:
        notes.append(f"flat top: {ABOVE}, loss ≥ {label(look.scale.cap)}")
    notes += [
        line.replace("✕ ", "holes: ") for line in legend_lines(arrays, look) if line[0] == "✕"
    ]
    if notes:
        figure.add_annotation(
            text="<br>".join(notes),
            x=0,
            y=1,
            xref="paper",
            yref="paper",
            align="left",
            showarrow=False,
            font={"size": 12, "color": look.colours.muted},
        )


def _add_edges(figure: go.Figure, arrays: Arrays, summary: Summary, look: Look) -> None:
    """Lay each edge on the surface by the exact losses of its 1D curve."""
    points = positions(summary)
    for edge in edges(summary):
        key = f"curve_{edge.curve}_{look.split}_loss"
        if key not in arrays or edge.start not in points or edge.end not in points:
            continue
        u, v = path(edge, points, np.asarray(arrays["lambdas"], dtype=np.float64))
        figure.add_scatter3d(
            x=u,
            y=v,
            z=_lifted(look.scale, arrays[key]),
            mode="lines",
            line={
                "width": 7,
                "color": "#c3c8d6" if edge.curve == "orbit" else look.colours.edges[edge.curve],
                "dash": edge.dash,
            },
            name=edge.title,
            hovertemplate=f"{edge.title}<extra></extra>",
        )


def _add_trajectory(figure: go.Figure, arrays: Arrays, summary: Summary, look: Look) -> None:
    """Lay a training's way on the surface, by the exact losses at its places."""
    places, key = trajectory(summary), f"projected_{look.split}_loss"
    if key not in arrays:
        return
    figure.add_scatter3d(
        x=places[:, 0],
        y=places[:, 1],
        z=_lifted(look.scale, arrays[key]),
        mode="lines+markers",
        line={"width": 6, "color": "#ffffff"},
        marker={"size": 4, "color": look.colours.models["end"]},
        name="trajectory",
        hoverinfo="skip",
    )


def _add_models(figure: go.Figure, summary: Summary, look: Look) -> None:
    """Add the markers at the models' own losses."""
    points = positions(summary)
    texts = labels(points)
    for name, (u, v) in points.items():
        own = ((summary.get("ends") or {}).get(name.lower()) or {}).get(look.split) or {}
        loss = own.get("loss")
        if loss is None:
            continue
        figure.add_scatter3d(
            x=[u],
            y=[v],
            z=_lifted(look.scale, np.array([loss]), 2),
            mode="markers",
            marker={
                "symbol": MARKERS[name].symbol_3d,
                "size": 8,
                "color": look.colours.models[name],
                "line": {"width": 2, "color": "#ffffff"},
            },
            name=MARKERS[name].label,
            hovertemplate=f"<b>{MARKERS[name].label}</b><extra></extra>",
        )
        figure.add_scatter3d(
            x=[u, u],
            y=[v, v],
            z=_lifted(look.scale, np.array([loss, loss])) + np.array([0, _stem(look.scale)]),
            mode="lines+text",
            line={"width": 2, "color": "#ffffff"},
            text=["", f"<b>{texts[name]}</b>"],
            textposition="top center",
            textfont={"size": 18, "color": "#ffffff"},  # the dark surface is behind it
            name=f"label {MARKERS[name].label}",
            hoverinfo="skip",
        )


def _lifted(scale: LossScale, loss: np.ndarray, times: float = 1) -> np.ndarray:
    """Return the drawn heights of losses, just above the surface."""
    low, high = scale.bounds
    return scale.value(loss) + times * LIFT * (high - low)


def _stem(scale: LossScale) -> float:
    """Return how far over its marker a label stands, so that no ridge hides it."""
    low, high = scale.bounds
    return STEM * (high - low)


def _scene(look: Look, summary: Summary) -> dict:
    """Return axes in the same units as the flat plane, and a view from A's side."""
    first, second = (title.split(",")[0] for title in axis_titles(summary))
    step = {"dtick": 0.5} if edges(summary) else {}
    at, texts = look.scale.ticks()
    axis = {
        "backgroundcolor": "rgba(0,0,0,0)",
        "gridcolor": look.colours.grid,
        "zerolinecolor": look.colours.grid,
        "color": look.colours.muted,
        "tickfont": {"size": 11},
    }
    return {
        "xaxis": {**axis, "title": {"text": first}, **step},
        "yaxis": {**axis, "title": {"text": second}, **step},
        "zaxis": {
            **axis,
            "title": {"text": f"{look.split} loss"},
            "tickvals": at,
            "ticktext": texts,
        },
        "aspectratio": {"x": 1, "y": 1, "z": 0.55},
        "camera": {
            "eye": {"x": -0.62, "y": -1.4, "z": 1.42},
            "center": {"x": 0, "y": 0, "z": -0.2},
        },
    }
