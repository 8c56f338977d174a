"""The small figure beside a plane: cuts along its axes, or the losses along a training."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from engine.figures.geometry import Arrays, Summary
from engine.figures.palette import Palette, palette
from engine.figures.planes import cuts
from engine.figures.style import styled

HEIGHT = 360
TOP = 1.15  # of the cuts' own range: parabolas leave the plot


def beside_figure(
    arrays: Arrays,
    summary: Summary,
    *,
    theme: str = "light",
    log: bool = True,
    height: int = HEIGHT,
) -> go.Figure:
    """Return the losses along a trajectory, or along both axes of any other plane.

    With `log` the losses stand on a logarithmic axis, unless parabolas are to be seen.
    """
    colours = palette(theme)
    figure = go.Figure()
    if (summary.get("plane") or {}).get("kind") == "pca":
        _trajectory(figure, arrays, summary, colours)
    else:
        _cuts(figure, arrays, summary, colours)
    styled(figure, colours, height=height, legend=True)
    figure.update_layout(legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0})
    axis = {"title": {"font": {"size": 13}, "standoff": 8}, "tickfont": {"size": 12}}
    figure.update_xaxes(**axis)
    figure.update_yaxes(**axis)
    if log and (summary.get("plane") or {}).get("kind") != "hessian":
        figure.update_yaxes(type="log", dtick="D2")
    return figure


def _cuts(figure: go.Figure, arrays: Arrays, summary: Summary, colours: Palette) -> None:
    """Add the loss along each axis through the origin, and what the Hessian predicts of it."""
    plane = summary.get("plane") or {}
    values = plane.get("eigenvalues") or (None, None)
    highest = 0.0
    for (axis, (at, loss, other)), bend in zip(cuts(arrays, summary).items(), values, strict=True):
        first = axis == "u"
        colour = colours.models["A" if first else "B"]
        where = "" if abs(other) < 1e-9 else f" at {'v' if first else 'u'} = {other:.2g}"
        figure.add_scatter(
            x=at,
            y=loss,
            mode="lines",
            line={"width": 2.5, "color": colour, "dash": "solid" if first else "8px,3px"},
            name=f"along {axis}{where}",
            hovertemplate="%{y:.4g}<extra></extra>",
        )
        finite = loss[np.isfinite(loss)]
        highest = max(highest, float(finite.max())) if finite.size else highest
        if bend is not None and finite.size:
            centre = float(loss[int(np.abs(at).argmin())])
            figure.add_scatter(
                x=at,
                y=centre + 0.5 * bend * at**2,
                mode="lines",
                line={"width": 1.5, "color": colour, "dash": "dot"},
                name=f"½ λ{'₁' if first else '₂'} {axis}²",
                hoverinfo="skip",
            )
    figure.update_xaxes(title_text="place on the axis")
    figure.update_yaxes(title_text=f"{plane.get('split', 'test')} loss")
    if values[0] is not None and highest:
        figure.update_yaxes(range=[0, TOP * highest])


def _trajectory(figure: go.Figure, arrays: Arrays, summary: Summary, colours: Palette) -> None:
    """Add each checkpoint's own losses, and the plane's at its projection."""
    split = (summary.get("plane") or {}).get("split", "test")
    lines = (
        ("test, own", "models_test_loss", colours.models["A"], "solid"),
        ("train, own", "models_train_loss", colours.models["B"], "8px,3px"),
        (f"{split}, on the plane", f"projected_{split}_loss", colours.muted, "dot"),
    )
    for name, key, colour, dash in lines:
        if key not in arrays:
            continue
        loss = np.asarray(arrays[key], dtype=np.float64)
        figure.add_scatter(
            x=np.arange(1, len(loss) + 1),
            y=loss,
            mode="lines+markers",
            marker={"size": 5},
            line={"width": 2.5, "color": colour, "dash": dash},
            name=name,
            hovertemplate="%{y:.4g}<extra></extra>",
        )
    figure.update_xaxes(title_text="checkpoint, in order")
    figure.update_yaxes(title_text="loss")
