"""How the permutation was found: the objective after each sweep, and where each start ended."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from engine.figures.geometry import Summary
from engine.figures.palette import palette
from engine.figures.style import empty_figure, styled

HEIGHT = 360
NOT_STARTED = "Matching has not finished its first sweep."


def matching_figure(summary: Summary, *, theme: str = "light") -> go.Figure:
    """Draw a finished matching: the best start's trace and every start's final objective."""
    matching = summary.get("matching") or {}
    figure = objective_figure(matching.get("trace") or (), theme=theme, height=HEIGHT)
    restarts = matching.get("restarts") or ()
    if len(restarts) > 1 and len(matching.get("trace") or ()) > 0:
        colours = palette(theme)
        last = len(matching["trace"]) - 1
        figure.add_scatter(
            x=[last] * len(restarts),
            y=list(restarts),
            mode="markers",
            marker={"symbol": "line-ew", "size": 18, "line": {"width": 2, "color": colours.muted}},
            name="end of each start",
            customdata=list(range(1, len(restarts) + 1)),
            hovertemplate="start %{customdata}: %{y:.5g}<extra></extra>",
        )
        figure.update_layout(showlegend=True, legend={"orientation": "h", "x": 0, "y": 1.12})
    return figure


def objective_figure(
    trace: Sequence[float], *, theme: str = "light", height: int = 180
) -> go.Figure:
    """Draw the objective ⟨A, π(B)⟩ after each sweep, the start first; also while it grows."""
    colours = palette(theme)
    if not trace:
        return empty_figure(NOT_STARTED, colours, height)
    figure = go.Figure()
    figure.add_scatter(
        x=list(range(len(trace))),
        y=list(trace),
        mode="lines+markers",
        line={"width": 2.5, "color": colours.edges["rebasin"]},
        marker={"symbol": "triangle-up", "size": 8},
        name="best start",
        hovertemplate="sweep %{x}: %{y:.5g}<extra></extra>",
    )
    styled(figure, colours, height=height)
    whole = 1 if len(trace) < 12 else None
    figure.update_xaxes(title_text="sweep", dtick=whole, rangemode="tozero", fixedrange=True)
    figure.update_yaxes(title_text="⟨A, π(B)⟩", nticks=5, fixedrange=True)
    return figure
