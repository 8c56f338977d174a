"""Loss along the three straight paths: A → B, A → π(B) and B → π(B), one small panel each.

The panels share one y-range, so that their heights compare. The solid line is the test loss
with a band of one standard error, the dashed line the train loss; each panel states its
barrier by Git Re-Basin's definition (2.2) on the test data.
"""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from engine.figures.geometry import Arrays, Summary, point_text
from engine.figures.palette import MARKERS, Palette, palette
from engine.figures.style import empty_figure, styled
from engine.figures.task import Words, words

HEIGHT = 600
PANELS = (
    ("naive", "A → B, as trained", "A", "B"),
    ("rebasin", "A → π(B), re-basined", "A", "pi_b"),
    ("orbit", "B → π(B), the same function", "B", "pi_b"),
)
SMOOTH = {"shape": "spline", "smoothing": 0.6}


def curves_figure(
    arrays: Arrays,
    summary: Summary,
    *,
    theme: str = "light",
    quantity: str = "loss",
    wide: bool = False,
    height: int = HEIGHT,
) -> go.Figure:
    """Draw the curves of a result.

    Args:
        arrays: `lambdas` [n] and `curve_<path>_<split>_<quantity>` [n].
        summary: its barriers are written into the panels.
        theme: "light" or "dark".
        quantity: "loss" or "accuracy", the share of right answers where the task has one.
        wide: three panels side by side instead of one above the other.
        height: in pixels.
    """
    colours, told = palette(theme), words(summary)
    if f"curve_naive_test_{quantity}" not in arrays:
        return empty_figure("The curves are not computed yet.", colours, height)
    rows, columns = (1, 3) if wide else (3, 1)
    figure = make_subplots(
        rows, columns, shared_yaxes=True, vertical_spacing=0.115, horizontal_spacing=0.04
    )
    for index, (name, title, start, end) in enumerate(PANELS):
        row, column = (1, index + 1) if wide else (index + 1, 1)
        for trace in _panel(arrays, name, colours, quantity, told):
            figure.add_trace(trace, row=row, col=column)
        frame = _frame(index)
        figure.add_annotation(
            text=f"<b>{title}</b>",
            x=0,
            xanchor="left",
            font={"size": 14, "color": colours.edges[name]},
            **frame,
        )
        if quantity == "loss":
            figure.add_annotation(
                text=_barrier_text(summary, name),
                x=1,
                xanchor="right",
                font={"size": 13, "color": colours.muted},
                **frame,
            )
        ends = [MARKERS[start].label, "½", MARKERS[end].label]
        figure.update_xaxes(tickvals=[0, 0.5, 1], ticktext=ends, row=row, col=column)
    styled(figure, colours, height=height)
    _set_axes(figure, arrays, quantity, wide, told)
    return figure


def value_range(arrays: Arrays, quantity: str) -> tuple[float, float]:
    """Return the y-range that all panels share, from every finite value of every curve."""
    names = [f"curve_{name}_{split}" for name, *_ in PANELS for split in ("train", "test")]
    keys = [f"{name}_{quantity}" for name in names]
    values = np.concatenate([np.ravel(arrays[key]) for key in keys if key in arrays])
    values = values[np.isfinite(values)]
    low, high = (0.0, 1.0) if not values.size else (float(values.min()), float(values.max()))
    if quantity == "accuracy":
        return max(0.0, low - 0.05), 1.02
    return 0.0, max(high * 1.12, 1e-6)


def _panel(
    arrays: Arrays, name: str, colours: Palette, quantity: str, told: Words
) -> list[go.Scatter]:
    """Return one panel's fill, band and two lines; gaps stay where the loss diverged."""
    lambdas = np.asarray(arrays["lambdas"])
    colour, fill = colours.edges[name], colours.fills[name]
    test = np.asarray(arrays[f"curve_{name}_test_{quantity}"])
    error = np.asarray(arrays.get(f"curve_{name}_test_{quantity}_se", np.zeros_like(test)))
    known = np.isfinite(test) & np.isfinite(error)
    low, high = (test - error)[known], (test + error)[known]
    quiet = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "fillcolor": fill}
    around = np.concatenate([lambdas[known], lambdas[known][::-1]])
    band = np.concatenate([high, low[::-1]])
    traces = [go.Scatter(x=around, y=band, fill="toself", name="± one s.e.", **quiet)]
    if quantity == "loss":
        traces.append(go.Scatter(x=lambdas, y=test, fill="tozeroy", name="area", **quiet))
    for split, dash, width in (("train", "4px,4px", 1.6), ("test", "solid", 3)):
        key = f"curve_{name}_{split}_{quantity}"
        if key in arrays:
            traces.append(
                go.Scatter(
                    x=lambdas,
                    y=np.asarray(arrays[key]),
                    mode="lines",
                    line={"width": width, "color": colour, "dash": dash} | SMOOTH,
                    name=split,
                    text=_hover(arrays, name, split, told),
                    hovertemplate="%{text}<br>λ = %{x:.2f}<extra></extra>",
                )
            )
    return traces


def _hover(arrays: Arrays, name: str, split: str, told: Words) -> list[str]:
    """Return the hover text of every λ."""
    loss = np.asarray(arrays[f"curve_{name}_{split}_loss"])
    missing = np.full_like(loss, np.nan)
    error = arrays.get(f"curve_{name}_{split}_loss_se", missing)
    accuracy = arrays.get(f"curve_{name}_{split}_accuracy", missing)
    every = zip(loss, error, accuracy, strict=True)
    return [point_text(*numbers, split, told) for numbers in every]


def _frame(index: int) -> dict:
    """Return where a panel's title and barrier stand: just over its top edge."""
    axis = "" if index == 0 else str(index + 1)
    over = {"yanchor": "bottom", "y": 1.02, "showarrow": False}
    return {"xref": f"x{axis} domain", "yref": f"y{axis} domain", **over}


def _barrier_text(summary: Summary, name: str) -> str:
    """Return a panel's barrier in words, empty before it is known."""
    barrier = ((summary.get("barriers") or {}).get(name) or {}).get("test")
    return f"barrier {words(summary).loss(barrier['git_rebasin'], 2)}" if barrier else ""


def _set_axes(figure: go.Figure, arrays: Arrays, quantity: str, wide: bool, told: Words) -> None:
    """Set the shared range, the few tick marks and the y-title in the middle."""
    low, high = value_range(arrays, quantity)
    percent = quantity == "accuracy"
    figure.update_xaxes(range=[-0.01, 1.01], showgrid=False, fixedrange=True, tickfont={"size": 13})
    figure.update_yaxes(
        range=[low, high],
        nticks=4,
        fixedrange=True,
        tickformat=".0%" if percent else None,
        tickfont={"size": 12},
    )
    name = told.task.score or quantity if percent else quantity
    title = {"text": f"{name}: test solid, train dashed", "font": {"size": 12}, "standoff": 6}
    figure.update_yaxes(title=title, row=1 if wide else 2, col=1)
    figure.update_layout(margin={"l": 8, "r": 12, "t": 30, "b": 8}, hovermode="closest")
