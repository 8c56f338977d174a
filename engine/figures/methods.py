"""One plot of a comparison of methods: the loss along the line from A to each π(B).

A method is a colour and a mark, a set of repairs is a dash; the line from A to B as they are is
grey, and the ensemble of A and B is a level that no single network need reach.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from engine.figures.geometry import Arrays, Summary, point_text
from engine.figures.methods_style import NAIVE, MethodStyle, dashes, method_styles
from engine.figures.palette import Palette, palette
from engine.figures.style import empty_figure, styled
from engine.figures.task import Words, words

HEIGHT = 520
_MARK_EVERY = 8
_NOTHING = "No line could be evaluated; the table says why."


@dataclass(frozen=True)
class _Line:
    """One line to draw: its row of the arrays and what it is."""

    index: int
    row: Mapping[str, Any]
    title: str
    style: MethodStyle
    dash: str
    place: int


def methods_figure(
    arrays: Arrays,
    summary: Summary,
    *,
    theme: str = "light",
    quantity: str = "loss",
    split: str = "test",
    log: bool = True,
    shown: Collection[str] | None = None,
    height: int = HEIGHT,
) -> go.Figure:
    """Draw the lines of a comparison of methods.

    Args:
        arrays: `lambdas` [n] and `{split}_{quantity}` [rows, n].
        summary: its `methods`, `rows`, `repairs` and `ensemble`.
        theme: "light" or "dark".
        quantity: "loss" or "accuracy".
        split: "test" or "train".
        log: logarithmic losses; accuracies never are.
        shown: the sets of repairs that are drawn, by id; None draws all.
        height: in pixels.
    """
    colours, told = palette(theme), words(summary)
    drawn = [
        line for line in _lines(summary, colours) if shown is None or line.row["variant"] in shown
    ]
    values = arrays.get(f"{split}_{quantity}")
    if values is None or not any(np.isfinite(values[line.index]).any() for line in drawn):
        return empty_figure(_NOTHING, colours, height)
    figure = go.Figure()
    for line in drawn:
        figure.add_trace(_trace(arrays, line, quantity, split, told))
    _add_legend(figure, drawn, summary, colours)
    _add_ensemble(figure, summary, quantity, split, colours, told)
    styled(figure, colours, height=height, legend=True)
    level = ((summary.get("ensemble") or {}).get(split) or {}).get(quantity)
    every = np.concatenate([np.ravel(values[line.index]) for line in drawn] + [[level or np.nan]])
    _set_axes(figure, every[np.isfinite(every)], quantity, split, log, told)
    return figure


def _lines(summary: Summary, colours: Palette) -> Iterator[_Line]:
    """Yield what is drawn, the line as it is first, so that the others lie over it."""
    methods = {method["id"]: method for method in summary["methods"]}
    styles = method_styles(summary["methods"], colours)
    dash = dashes(summary["repairs"]["variants"])
    places = {name: place for place, name in enumerate(methods)}
    for index, row in enumerate(summary["rows"]):
        name = row["method"]
        if row["problem"] is None:
            title = methods[name]["title"]
            yield _Line(index, row, title, styles[name], dash[row["variant"]], places[name])


def _trace(arrays: Arrays, line: _Line, quantity: str, split: str, told: Words) -> go.Scatter:
    """Return one line; its marks are set apart from those of other methods."""
    lambdas = np.asarray(arrays["lambdas"])
    naive = line.row["method"] == NAIVE
    marked = (np.arange(len(lambdas)) + 3 * line.place) % _MARK_EVERY == 0
    repairs = f", {line.row['variant']}" if line.row["repairs"] else ""
    return go.Scatter(
        x=lambdas,
        y=np.asarray(arrays[f"{split}_{quantity}"][line.index]),
        mode="lines" if naive else "lines+markers",
        line={"width": 3 if naive else 2.2, "color": line.style.colour, "dash": line.dash},
        marker={
            "symbol": line.style.symbol,
            "size": np.where(marked, 10, 0),
            "color": line.style.colour,
            "opacity": 1,
            "line": {"width": 0},
        },
        name=f"{line.title}{repairs}",
        legendgroup=line.row["method"],
        showlegend=False,
        text=_hover(arrays, line.index, split, told),
        hovertemplate=f"<b>{line.title}{repairs}</b><br>%{{text}}<br>λ = %{{x:.2f}}<extra></extra>",
    )


def _hover(arrays: Arrays, index: int, split: str, told: Words) -> list[str]:
    loss, error, accuracy = (
        np.asarray(arrays[f"{split}_{name}"][index]) for name in ("loss", "loss_se", "accuracy")
    )
    every = zip(loss, error, accuracy, strict=True)
    return [point_text(*numbers, split, told) for numbers in every]


def _add_legend(figure: go.Figure, drawn: list[_Line], summary: Summary, colours: Palette) -> None:
    """Add one entry per method, which hides and shows its lines, and one per dash."""
    told: set[str] = set()
    for line in drawn:
        if line.row["method"] in told:
            continue
        told.add(line.row["method"])
        look = {"color": line.style.colour, "width": 3}
        mark = {"symbol": line.style.symbol, "size": 10, "color": line.style.colour}
        mode = "lines" if line.row["method"] == NAIVE else "lines+markers"
        _legend_entry(figure, line.title, line.row["method"], mode, look, mark)
    titles = {v["id"]: v["title"] for v in summary["repairs"]["variants"]}
    variants = dict.fromkeys(line.row["variant"] for line in drawn)
    dash = dashes(summary["repairs"]["variants"])
    if len(titles) > 1:  # with a single one there is nothing to tell apart
        for name in variants:
            look = {"color": colours.muted, "width": 2, "dash": dash[name]}
            _legend_entry(figure, titles[name], f"repairs {name}", "lines", look, None)


def _legend_entry(
    figure: go.Figure, title: str, group: str, mode: str, look: dict, mark: dict | None
) -> None:
    figure.add_scatter(
        x=[None], y=[None], mode=mode, line=look, marker=mark, name=title, legendgroup=group
    )


def _add_ensemble(
    figure: go.Figure, summary: Summary, quantity: str, split: str, colours: Palette, told: Words
) -> None:
    """Draw the level of the ensemble, with its name on it."""
    values = (summary.get("ensemble") or {}).get(split) or {}
    level = values.get(quantity)
    if level is None:
        return
    shown = told.loss(level) if quantity == "loss" else told.score(level)
    figure.add_scatter(
        x=[0, 1],
        y=[level, level],
        mode="lines",
        line={"width": 1.6, "color": colours.text, "dash": "2px,3px"},
        name="ensemble of A and B",
        hovertemplate=f"ensemble of A and B: {split} {quantity} {shown}<extra></extra>",
    )


def _set_axes(
    figure: go.Figure, values: np.ndarray, quantity: str, split: str, log: bool, told: Words
) -> None:
    percent = quantity == "accuracy"
    figure.update_xaxes(
        range=[-0.015, 1.015],
        tickvals=[0, 0.25, 0.5, 0.75, 1],
        ticktext=["A", "¼", "½", "¾", "B, π(B)"],
        showgrid=False,
        fixedrange=True,
        tickfont={"size": 13},
    )
    name = told.task.score or quantity if percent else quantity
    title = {"text": f"{split} {name}", "font": {"size": 13}, "standoff": 6}
    figure.update_yaxes(title=title, fixedrange=True, tickfont={"size": 12})
    low, high = float(values.min()), float(values.max())
    if percent:
        figure.update_yaxes(tickformat=".0%", range=[max(0.0, low - 0.05), 1.02])
    elif log and low > 0:
        places = _ticks(low, high)
        texts = [_short(told.loss(value)) for value in places]
        span = np.log10([low / 1.12, high * 1.12]).tolist()
        figure.update_yaxes(type="log", range=span, tickvals=places, ticktext=texts)
    else:
        figure.update_yaxes(range=[0.0, max(high * 1.08, 1e-9)])
    figure.update_layout(
        margin={"l": 8, "r": 30, "t": 8, "b": 8},
        hovermode="closest",
        legend={"orientation": "h", "x": 0, "y": -0.1, "yanchor": "top", "font": {"size": 13}},
    )


def _ticks(low: float, high: float) -> list[float]:
    """Return 1, 2, 5 times powers of ten from low to high; fewer of each decade over many."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    leads = (1, 2, 5) if last - first <= 4 else (1,)
    every = [lead * 10.0**power for power in range(first, last + 1) for lead in leads]
    return [value for value in every if low / 1.12 <= value <= high * 1.12]


def _short(text: str) -> str:
    """Return a number without the zeros that end its decimals."""
    return text.rstrip("0").rstrip(".") if "." in text else text
