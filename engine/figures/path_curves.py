"""Loss along the straight line and along the curve, and the loss of the training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from engine.figures.geometry import Arrays, Summary, point_text
from engine.figures.palette import MARKERS, Palette, palette
from engine.figures.path import LINES, paths_of
from engine.figures.style import empty_figure, styled
from engine.figures.task import Words, words

HEIGHT = 420
MARK_EVERY = 6
NOT_THERE = "The curves are not computed yet."
NOT_TRAINED = "The training has not taken its first steps."
NAMES: Mapping[str, str] = {"b": "B", "pi_b": "pi_b"}
EDGES: Mapping[str, str] = {"b": "naive", "pi_b": "rebasin"}
SMOOTHED = 100  # points that a training's loss is drawn with


@dataclass(frozen=True)
class _Way:
    """One way from A to an end: the straight line or the curve."""

    line: str
    end: str
    title: str


def path_figure(
    arrays: Arrays,
    summary: Summary,
    *,
    theme: str = "light",
    quantity: str = "loss",
    log: bool = True,
    height: int = HEIGHT,
) -> go.Figure:
    """Draw lines and curves of a result, or of a partial one.

    Args:
        arrays: `t` [n] and `{line,path}_<end>_{test,train}_{loss,loss_se,accuracy}` [n].
        summary: says where the curves lead.
        theme: "light" or "dark".
        quantity: "loss" or "accuracy".
        log: logarithmic losses; accuracies never are.
        height: in pixels.
    """
    colours, told = palette(theme), words(summary)
    ways = [way for way in _ways(summary) if f"{way.line}_{way.end}_test_{quantity}" in arrays]
    if not ways:
        return empty_figure(NOT_THERE, colours, height)
    figure = go.Figure()
    for way in ways:
        for split in ("train", "test"):
            if f"{way.line}_{way.end}_{split}_{quantity}" in arrays:
                figure.add_traces(_traces(arrays, way, split, quantity, colours, told))
    styled(figure, colours, height=height, legend=True)
    _set_axes(figure, arrays, ways, quantity, log, told)
    return figure


def training_figure(
    steps: Sequence[float],
    losses: Sequence[float | None],
    *,
    theme: str = "light",
    height: int = 220,
) -> go.Figure:
    """Draw the loss of a training's batches, each at its own place of the curve.

    Args:
        steps: numbers of steps, ascending.
        losses: mean loss of the steps up to each; None or NaN where the training diverged.
        theme: "light" or "dark".
        height: in pixels.
    """
    colours = palette(theme)
    values = np.array([np.nan if loss is None else loss for loss in losses], dtype=np.float64)
    if not np.isfinite(values).any():
        return empty_figure(NOT_TRAINED, colours, height)
    figure = go.Figure()
    figure.add_scatter(
        x=list(steps),
        y=values,
        mode="lines",
        line={"width": 2.2, "color": colours.edges["curve"]},
        hovertemplate="step %{x}: %{y:.4g}<extra></extra>",
        name="batch loss",
    )
    styled(figure, colours, height=height)
    figure.update_xaxes(title_text="step", fixedrange=True, rangemode="tozero")
    log = float(np.nanmin(values)) > 0
    figure.update_yaxes(title_text="batch loss", fixedrange=True, nticks=5)
    figure.update_yaxes(type="log" if log else "linear", dtick=1 if log else None)
    figure.update_yaxes(tickformat="~g", exponentformat="e")
    return figure


def smoothed(losses: np.ndarray) -> tuple[list[float], list[float]]:
    """Return steps and means of a training's losses over equal pieces; NaN stays NaN."""
    size = max(1, -(-len(losses) // SMOOTHED))
    ends = [min(start + size, len(losses)) for start in range(0, len(losses), size)]
    means = [float(np.mean(losses[max(0, end - size) : end])) for end in ends]
    return [float(end) for end in ends], means


def _ways(summary: Summary) -> Iterator[_Way]:
    for end, path in paths_of(summary).items():
        for line, title in LINES.items():
            yield _Way(line, end, f"{title} A → {path['end']}")


def _colour(way: _Way, colours: Palette) -> str:
    if way.line == "line":
        return colours.edges[EDGES[way.end]]
    return colours.edges["curve"] if way.end == "b" else colours.models["A"]


def _traces(
    arrays: Arrays, way: _Way, split: str, quantity: str, colours: Palette, told: Words
) -> list[go.Scatter]:
    """Return one line of one split; on test data with a band of one standard error and marks."""
    t = np.asarray(arrays["t"])
    key, colour = f"{way.line}_{way.end}_{split}", _colour(way, colours)
    values = np.asarray(arrays[f"{key}_{quantity}"])
    test = split == "test"
    loss = np.asarray(arrays[f"{key}_loss"])
    unknown = np.full_like(loss, np.nan)
    error, accuracy = (arrays.get(f"{key}_{name}", unknown) for name in ("loss_se", "accuracy"))
    texts = [point_text(*n, split, told) for n in zip(loss, error, accuracy, strict=True)]
    marked = (np.arange(len(t)) % MARK_EVERY == 0) & test & (way.line == "path")
    traces = [
        go.Scatter(
            x=t,
            y=values,
            mode="lines+markers",
            line={
                "width": (3.2 if way.line == "path" else 2.4) if test else 1.5,
                "color": colour,
                "dash": "solid" if test else "4px,4px",
            },
            marker={
                "symbol": MARKERS["bend" if way.end == "b" else "pi_b"].symbol,
                "size": np.where(marked, 11, 0),
                "opacity": 1,
                "color": colour,
            },
            name=way.title if test else f"{way.title}, train",
            legendgroup=way.title,
            showlegend=test,
            text=texts,
            hovertemplate=f"<b>{way.title}</b><br>%{{text}}<br>t = %{{x:.2f}}<extra></extra>",
        )
    ]
    spread = np.asarray(arrays.get(f"{key}_{quantity}_se", unknown))
    known = np.isfinite(values) & np.isfinite(spread)
    if test and known.any():
        low = values - spread
        if quantity == "loss":  # on a logarithmic axis a band cannot reach below zero
            low = np.maximum(low, values / 10)
        fill = colours.fills["curve" if way.line == "path" else EDGES[way.end]]
        traces.insert(
            0,
            go.Scatter(
                x=np.concatenate([t[known], t[known][::-1]]),
                y=np.concatenate([(values + spread)[known], low[known][::-1]]),
                fill="toself",
                fillcolor=fill,
                line={"width": 0},
                mode="lines",
                hoverinfo="skip",
                showlegend=False,
                legendgroup=way.title,
                name="± one s.e.",
            ),
        )
    return traces


def _set_axes(
    figure: go.Figure, arrays: Arrays, ways: list[_Way], quantity: str, log: bool, told: Words
) -> None:
    ends = list(dict.fromkeys(MARKERS[NAMES[way.end]].label for way in ways))
    figure.update_xaxes(
        range=[-0.015, 1.015],
        tickvals=[0, 0.25, 0.5, 0.75, 1],
        ticktext=["A", "¼", "½", "¾", ", ".join(ends)],
        showgrid=False,
        fixedrange=True,
        tickfont={"size": 13},
    )
    percent = quantity == "accuracy"
    name = told.task.score or quantity if percent else quantity
    title = {"text": f"{name}: test solid, train dashed", "font": {"size": 12}, "standoff": 6}
    figure.update_yaxes(title=title, fixedrange=True, tickfont={"size": 12})
    keys = [f"{w.line}_{w.end}_{s}_{quantity}" for w in ways for s in ("test", "train")]
    every = np.concatenate([np.ravel(arrays[key]) for key in keys if key in arrays])
    every = every[np.isfinite(every)]
    low, high = (float(every.min()), float(every.max())) if every.size else (0.0, 1.0)
    if percent:
        figure.update_yaxes(tickformat=".0%", range=[max(0.0, low - 0.05), 1.02])
    elif log and low > 0:
        span = [float(np.log10(low / 1.3)), float(np.log10(high * 1.3))]
        steps = "D2" if high / low < 1e3 else 1
        figure.update_yaxes(type="log", range=span, dtick=steps, tickformat="~g")
    else:
        figure.update_yaxes(range=[0.0, max(high * 1.1, 1e-9)])
    figure.update_layout(
        margin={"l": 8, "r": 24, "t": 8, "b": 8},
        hovermode="closest",
        legend={"orientation": "h", "x": 0, "y": -0.12, "yanchor": "top", "font": {"size": 13}},
    )
