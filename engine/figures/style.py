"""What all figures share: fonts, margins, hover boxes, and a figure that says why it is empty."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from engine.figures.palette import FONT, Palette

CONFIG: dict[str, Any] = {
    "displaylogo": False,
    "showSendToCloud": False,  # on by default: a button that uploads the figure to plotly.com
    "responsive": True,
    "scrollZoom": False,
    "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"],
}


def styled(figure: go.Figure, colours: Palette, *, height: int, legend: bool = False) -> go.Figure:
    """Give a figure the page's font and a transparent ground; returns the same figure."""
    figure.update_layout(
        height=height,
        font={"family": FONT, "size": 13, "color": colours.text},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        showlegend=legend,
        hoverlabel={
            "bgcolor": colours.paper,
            "bordercolor": colours.muted,
            "font": {"family": FONT, "size": 13, "color": colours.text},
        },
        modebar={
            "bgcolor": "rgba(0,0,0,0)",
            "color": colours.muted,
            "activecolor": colours.text,
            "orientation": "v",
        },
    )
    axis = {
        "gridcolor": colours.grid,
        "zeroline": False,
        "linecolor": colours.grid,
        "automargin": True,
    }
    figure.update_xaxes(**axis)
    figure.update_yaxes(**axis)
    return figure


def empty_figure(sentence: str, colours: Palette, height: int = 320) -> go.Figure:
    """Return a figure that holds nothing but the reason why there is nothing to draw."""
    figure = styled(go.Figure(), colours, height=height)
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    figure.add_annotation(
        text=wrapped(sentence),
        showarrow=False,
        x=0.5,
        y=0.5,
        xref="paper",
        yref="paper",
        font={"size": 15, "color": colours.muted},
    )
    return figure


def wrapped(sentence: str, width: int = 44) -> str:
    """Break a sentence into lines for an annotation, which does not wrap by itself."""
    lines = [""]
    for word in sentence.split():
        fits = len(lines[-1]) + len(word) < width
        if fits or not lines[-1]:
            lines[-1] = f"{lines[-1]} {word}".strip()
        else:
            lines.append(word)
    return "<br>".join(lines)
