"""The plane through A, B and π(B) as filled contours, with the models, edges and basins.

After Ainsworth et al. 2022 (arXiv 2209.04836, figure 1) and Fort's replication: origin at A,
first axis along B − A, second along the part of π(B) − A orthogonal to it, both in units of
‖B − A‖. What it does not show: anything off this plane.
"""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from engine.figures.diverged import add_diverged, legend_lines
from engine.figures.geometry import (
    Arrays,
    Summary,
    axis_titles,
    edges,
    hover_texts,
    label_side,
    labels,
    path,
    point_text,
    positions,
    trajectory,
)
from engine.figures.palette import MARKERS, Palette, palette
from engine.figures.plane_layers import (
    MARKS,
    Look,
    add_evaluated,
    layer_of,
    layer_values,
    look_at,
    marked,
)
from engine.figures.refine import filled
from engine.figures.style import empty_figure, styled
from engine.figures.task import words

HEIGHT = 600
NO_PLANE = "This run has no plane."
OUTLINE = "basin outline"


def plane_figure(
    arrays: Arrays,
    summary: Summary,
    *,
    theme: str = "light",
    log: bool = True,
    cap: float | None = None,
    basins: bool = True,
    layer: str = "loss",
    points: bool = False,
) -> go.Figure:
    """Draw the plane of a result, or of a partial one (with `plane_done`).

    Args:
        arrays: `plane_u` [U], `plane_v` [V], `plane_<split>_loss` [V, U] and its `_loss_se` and
            `_accuracy`; optionally `plane_done` and `plane_evaluated` [V, U] and estimated errors.
        summary: a result's summary; positions, unit, basins are taken from it.
        theme: "light" or "dark".
        log, cap: the colour scale (`engine.figures.scale`).
        basins: draw the outline of the basins where their threshold is known.
        layer: what is coloured (`engine.figures.plane_layers`); the loss where there is none such.
        points: mark the points that were evaluated, where the plane tells.
    """
    colours = palette(theme)
    plane = summary.get("plane") or {}
    split = plane.get("split", "test")
    if f"plane_{split}_loss" not in arrays:
        return empty_figure(plane.get("degenerate") or NO_PLANE, colours)
    look = look_at(arrays, colours, split, log=log, cap=cap)
    shown = look_at(arrays, colours, split, layer_of(arrays, layer, split), log=log, cap=cap)
    figure = go.Figure()
    _add_contours(figure, arrays, summary, shown)
    if basins:
        _add_basins(figure, arrays, summary, look)
    add_diverged(figure, arrays, split, colours)
    if points and marked(arrays):
        add_evaluated(figure, arrays)
    _add_edges(figure, summary, colours)
    _add_trajectory(figure, summary, colours)
    _add_models(figure, summary, colours, split)
    _add_legend(figure, arrays, summary, shown)
    styled(figure, colours, height=HEIGHT)
    _set_axes(figure, arrays, summary, colours)
    return figure


def colorbar(look: Look) -> dict:
    """Return the colour bar of a plane or surface, labelled in losses."""
    at, texts = look.scale.ticks()
    return {
        "title": {"text": look.title, "side": "right", "font": {"size": 12}},
        "tickvals": at,
        "ticktext": texts,
        "thickness": 12,
        "outlinewidth": 0,
        "len": 0.96,
        "x": 1.0,
        "xpad": 6,
        "tickfont": {"size": 12, "color": look.colours.text},
    }


def _add_contours(figure: go.Figure, arrays: Arrays, summary: Summary, look: Look) -> None:
    """Add the filled contours; points not computed yet are interpolated."""
    u, v = arrays["plane_u"], arrays["plane_v"]
    values = look.scale.value(layer_values(arrays, look.layer, look.split))
    done = np.asarray(arrays.get("plane_done", np.ones(values.shape, dtype=bool)))
    low, high = look.scale.bounds
    figure.add_contour(
        x=u,
        y=v,
        z=filled(values, done, u, v),
        zmin=low,
        zmax=high,
        colorscale=look.layer.colours,
        contours={**look.scale.contours(), "coloring": "fill", "showlines": True},
        line={"width": 0.6, "color": "rgba(255,255,255,.33)", "smoothing": 1.0},
        colorbar=colorbar(look),
        text=hover_texts(arrays, look.split, words(summary)),
        hovertemplate="%{text}<br>(%{x:.2f}, %{y:.2f})<extra></extra>",
        name=look.title,
        showlegend=False,
    )


def _add_basins(figure: go.Figure, arrays: Arrays, summary: Summary, look: Look) -> None:
    """Add the line at the basins' threshold."""
    threshold = (summary.get("basins") or {}).get("threshold")
    if threshold is None or not look.scale.low < threshold < look.scale.cap:
        return
    at = float(look.scale.value(threshold))
    figure.add_contour(
        x=arrays["plane_u"],
        y=arrays["plane_v"],
        z=look.scale.value(arrays[f"plane_{look.split}_loss"]),
        contours={"start": at, "end": at, "size": 1, "coloring": "none", "showlines": True},
        line={"width": 2, "color": "#ffffff", "dash": "5px,3px", "smoothing": 1.0},
        showscale=False,
        hoverinfo="skip",
        name=OUTLINE,
        showlegend=False,
    )


def _add_edges(figure: go.Figure, summary: Summary, colours: Palette) -> None:
    """Add the three straight paths, each over a pale casing that keeps it visible."""
    points = positions(summary)
    for edge in edges(summary):
        if edge.start not in points or edge.end not in points:
            continue
        u, v = path(edge, points, np.array([0.0, 1.0]))
        width = 3 if edge.curve == "orbit" else 4
        casing = {"width": width + 2.5, "color": "rgba(255,255,255,.55)", "dash": edge.dash}
        line = {"width": width, "color": colours.edges[edge.curve], "dash": edge.dash}
        if edge.curve == "orbit":
            casing["color"], line["color"] = "rgba(20,16,40,.45)", "#c3c8d6"
        for style, name in ((casing, "casing"), (line, edge.title)):
            figure.add_scatter(
                x=u, y=v, mode="lines", line=style, name=name, showlegend=False, hoverinfo="skip"
            )


def _add_trajectory(figure: go.Figure, summary: Summary, colours: Palette) -> None:
    """Add a training's way over the plane, a dot for each checkpoint."""
    places = trajectory(summary)
    if not len(places):
        return
    figure.add_scatter(
        x=places[:, 0],
        y=places[:, 1],
        mode="lines+markers",
        line={"width": 2.5, "color": "#ffffff"},
        marker={"size": 7, "color": colours.models["end"], "line": {"width": 1.5, "color": "#fff"}},
        text=[f"checkpoint {number} of {len(places)}" for number in range(1, len(places) + 1)],
        hovertemplate="%{text}, projected<extra></extra>",
        name="trajectory",
        showlegend=False,
    )


def _add_models(figure: go.Figure, summary: Summary, colours: Palette, split: str) -> None:
    """Add the marker and label of each model; hover shows its own exact loss."""
    points = positions(summary)
    texts = labels(points)
    for name, (u, v) in points.items():
        marker = MARKERS[name]
        own = ((summary.get("ends") or {}).get(name.lower()) or {}).get(split) or {}
        numbers = [own.get(key) for key in ("loss", "loss_se", "accuracy")]
        loss, error, accuracy = (np.nan if n is None else float(n) for n in numbers)
        said = point_text(loss, error, accuracy, split, words(summary))
        figure.add_scatter(
            x=[u],
            y=[v],
            mode="markers+text",
            marker={
                "symbol": marker.symbol,
                "size": marker.size,
                "color": colours.models[name],
                "line": {"width": 2, "color": "#ffffff"},
            },
            text=[f"<b>{texts[name]}</b>"],
            textposition=label_side(name, points),
            textfont={
                "size": 17,
                "color": "#ffffff",
                "shadow": f"0 0 3px {colours.halo}, 0 0 3px {colours.halo}, 0 0 6px {colours.halo}",
            },
            hovertemplate=f"<b>{marker.label}</b><br>{said}<extra></extra>",
            name=marker.label,
            showlegend=False,
        )


def _add_legend(figure: go.Figure, arrays: Arrays, summary: Summary, look: Look) -> None:
    """Explain the dashed outline, losses over the cap and crosses, where there are any.

    An annotation, since a legend cannot be tied to a plot area of fixed aspect. It stands in the
    upper corner: A and B lie near the lower edge, where it would cover them on a phone.
    """
    names = {getattr(trace, "name", None) for trace in figure.data}
    threshold = (summary.get("basins") or {}).get("threshold")
    lines = []
    if OUTLINE in names:
        lines.append(f"╌╌ {OUTLINE}: loss {words(summary).loss(threshold)}")
    lines += legend_lines(arrays, look)
    lines += [f"{sign} {name}" for sign, name in MARKS if name in names]
    if lines:
        figure.add_annotation(
            text="<br>".join(lines),
            x=0.012,
            y=0.988,
            xref="x domain",
            yref="y domain",
            xanchor="left",
            yanchor="top",
            align="left",
            showarrow=False,
            bgcolor="rgba(20,16,40,.62)",  # dark in both themes: the outline is white
            borderpad=4,
            font={"size": 12, "color": "#ffffff"},
        )


def _set_axes(figure: go.Figure, arrays: Arrays, summary: Summary, colours: Palette) -> None:
    """Set equal aspect, limits, titles and the legend's place."""
    u, v = arrays["plane_u"], arrays["plane_v"]
    shared = {"constrain": "domain", "showgrid": False, "ticks": "outside", "ticklen": 4}
    shared |= {"tickcolor": colours.grid, "nticks": 6, "tickfont": {"size": 12}}
    shared["title"] = {"font": {"size": 13}, "standoff": 8}
    across, up = [float(u[0]), float(u[-1])], [float(v[0]), float(v[-1])]
    figure.update_xaxes(range=across, constraintoward="right", **shared)
    figure.update_yaxes(range=up, constraintoward="top", scaleanchor="x", **shared)
    first, second = axis_titles(summary)
    figure.update_xaxes(title_text=first)
    figure.update_yaxes(title_text=second)
    figure.update_layout(
        plot_bgcolor=colours.plot,
    )
