"""Layer by layer: how far the permutation moved it and how alike A and B are before and after."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

from engine.figures.geometry import Summary
from engine.figures.numbers import is_number
from engine.figures.palette import palette
from engine.figures.style import empty_figure, styled

ROW = 26  # pixels per parameter
NO_LAYERS = "This run has no per-layer numbers."


def layer_rows(summary: Summary) -> list[dict[str, Any]]:
    """Return the per-layer table: one row per parameter, plain values under readable names."""
    return [_row(layer) for layer in summary.get("layers") or ()]


def layers_figure(summary: Summary, *, theme: str = "light") -> go.Figure:
    """Draw the cosine between A's and B's parameters before and after the permutation.

    Each parameter is one row: an open square before, a filled triangle after, joined by a line.
    """
    colours = palette(theme)
    layers = [layer for layer in summary.get("layers") or () if is_number(layer["cosine_before"])]
    if not layers:
        return empty_figure(NO_LAYERS, colours)
    names = [layer["parameter"] for layer in layers]
    before = [layer["cosine_before"] for layer in layers]
    after = [layer["cosine_after"] for layer in layers]
    figure = go.Figure()
    for name, start, end in zip(names, before, after, strict=True):
        figure.add_scatter(
            x=[start, end],
            y=[name, name],
            mode="lines",
            line={"width": 2, "color": colours.grid},
            hoverinfo="skip",
            showlegend=False,
        )
    for values, title, key, symbol in (
        (before, "A and B", "naive", "square-open"),
        (after, "A and π(B)", "rebasin", "triangle-up"),
    ):
        figure.add_scatter(
            x=values,
            y=names,
            mode="markers",
            marker={
                "symbol": symbol,
                "size": 11,
                "color": colours.edges[key],
                "line": {"width": 2},
            },
            name=title,
            hovertemplate="%{y}<br>cosine %{x:.3f}<extra>" + title + "</extra>",
        )
    styled(figure, colours, height=90 + ROW * len(layers), legend=True)
    figure.update_xaxes(title_text="cosine between the two models' parameters", automargin=True)
    figure.update_yaxes(autorange="reversed", type="category", showgrid=False)
    figure.update_layout(legend={"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom"})
    return figure


def _row(layer: Mapping[str, Any]) -> dict[str, Any]:
    """Return one line of the table."""
    return {
        "parameter": layer["parameter"],
        "shape": " × ".join(str(size) for size in layer["shape"]),
        "moved": layer["moved"],
        "cosine A, B": layer["cosine_before"],
        "cosine A, π(B)": layer["cosine_after"],
        "distance A, B": layer["distance_before"],
        "distance A, π(B)": layer["distance_after"],
    }
