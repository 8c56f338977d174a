"""A merge in words, as a table and as one plot: each input, the averages, the ensemble.

One row per network, so that many long names stay readable. A kind of network has a colour and a
mark of its own; the dotted line is the mean of the inputs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

from engine.figures.numbers import is_number, power_of_ten
from engine.figures.palette import Palette, palette
from engine.figures.style import empty_figure, styled
from engine.figures.task import Words, words

Summary = Mapping[str, Any]
QUANTITIES = {"loss": "Loss", "accuracy": "Accuracy", "calibration_error": "Calibration error"}
KINDS = {
    "input": ("input", "circle"),
    "naive": ("naive average", "square"),
    "merged": ("merged", "triangle-up"),
    "repaired": ("merged and repaired", "diamond"),
    "ensemble": ("ensemble", "star"),
}
ROW_HEIGHT, LEAST_HEIGHT = 34, 220
MOST_NAME = 28
ROOM_LEFT, ROOM_RIGHT = 0.08, 0.3  # shares of the axis; a number is wide on a phone


def merge_headline(summary: Summary) -> str:
    """Say in one sentence what the merge achieved on the test set."""
    rows, told = summary.get("rows") or [], words(summary)
    best = result_row(summary)
    mean = ((summary.get("mean") or {}).get("test") or {}).get("loss")
    if best is None:
        count = len(summary.get("models") or ())
        return f"{count} networks are being merged." if count else "The networks are being merged."
    loss = best["test"]["loss"]
    inputs = [row["test"]["loss"] for row in rows if row["kind"] == "input"]
    lead = f"{len(inputs)} networks merged into one: test loss {told.loss(loss)}"
    if not is_number(loss) or not is_number(mean):
        return f"{lead}."
    if all(is_number(value) and loss < value for value in inputs):
        return f"{lead}, below each of its inputs (their mean is {told.loss(mean)})."
    if told.loss(loss) == told.loss(mean):
        return f"{lead}, as high as the mean of its inputs."
    where = "below" if loss < mean else "above"
    return f"{lead}, {where} the mean of its inputs, {told.loss(mean)}."


def merge_proof(summary: Summary) -> str:
    """Say that every permuted input still computes what it did."""
    same, told = summary.get("equivalence"), words(summary)
    if not same:
        return ""
    return (
        f"Each network computes what it did before it was permuted: the largest difference in any "
        f"{told.output} of any of them on {same['samples']} test samples is "
        f"{power_of_ten(same['max_abs_logit_difference'])}."
    )


def result_row(summary: Summary) -> Mapping[str, Any] | None:
    """Return the row of the merged model as it is downloaded: repaired where it was."""
    rows = {row["kind"]: row for row in summary.get("rows") or ()}
    return rows.get("repaired") or rows.get("merged")


def score_rows(summary: Summary) -> list[dict[str, str]]:
    """Return the table: a row per network, loss and scores on both splits as texts."""
    told = words(summary)
    table = []
    for row in summary.get("rows") or ():
        cells = {"": str(row["title"])}
        for split in ("test", "train"):
            own = row[split]
            cells[f"{split} loss"] = told.loss(own.get("loss"), 4)
            cells |= {f"{split} {title}": text for title, text in told.point(own).items()}
            if told.task.score:
                cells[f"{split} calibration error"] = told.loss(own.get("calibration_error"), 4)
        table.append(cells)
    return table


def quantities(summary: Summary) -> list[str]:
    """Return what of the networks can be drawn: a regression has a loss alone."""
    return list(QUANTITIES) if words(summary).task.score else ["loss"]


def merge_figure(
    summary: Summary, *, theme: str = "light", quantity: str = "loss", split: str = "test"
) -> go.Figure:
    """Draw one quantity of every network.

    Args:
        summary: its `rows` and `mean`.
        theme: "light" or "dark".
        quantity: "loss", "accuracy" or "calibration_error".
        split: "test" or "train".
    """
    colours, told = palette(theme), words(summary)
    rows = [row for row in summary.get("rows") or () if is_number(row[split].get(quantity))]
    if not rows:
        return empty_figure("There is no number to draw.", colours)
    figure = go.Figure()
    height = max(LEAST_HEIGHT, ROW_HEIGHT * len(rows) + 90)
    for kind, (title, symbol) in KINDS.items():
        own = [row for row in rows if row["kind"] == kind]
        if own:
            figure.add_trace(_marks(own, title, symbol, colours, told, quantity, split))
    styled(figure, colours, height=height)
    figure.update_yaxes(
        categoryorder="array",
        categoryarray=[_name(row) for row in reversed(rows)],
        showgrid=False,
    )
    values = [float(row[split][quantity]) for row in rows]
    log = quantity == "loss" and min(values) > 0
    figure.update_xaxes(
        title=f"{split.capitalize()} {QUANTITIES[quantity].lower()}",
        type="log" if log else "linear",
        tickformat=".1%" if quantity == "accuracy" else None,
        dtick="D2" if log else None,
        range=_with_room([_place(value, log) for value in values]),
    )
    mean = ((summary.get("mean") or {}).get(split) or {}).get(quantity)
    if is_number(mean) and (mean > 0 or not log):
        figure.add_vline(x=mean, line={"color": colours.muted, "dash": "dot", "width": 1.5})
        figure.add_annotation(
            x=_place(mean, log),
            y=1,
            yref="paper",
            yanchor="bottom",
            text="mean of the inputs",
            showarrow=False,
            font={"color": colours.muted, "size": 12},
        )
        figure.update_layout(margin={"t": 26})
    for row, value in zip(rows, values, strict=True):
        place, text = _place(value, log), _number(value, told, quantity)
        figure.add_annotation(_label(place, _name(row), text, colours))
    return figure


def _label(x: float, y: str, text: str, colours: Palette) -> dict[str, Any]:
    """Return a mark's number beside it, on a ground that the line of the mean does not cross."""
    return {
        "x": x,
        "y": y,
        "text": text,
        "showarrow": False,
        "xanchor": "left",
        "xshift": 9,
        "borderpad": 1,
        "bgcolor": colours.paper,
        "font": {"color": colours.text, "size": 12},
    }


def _number(value: float, told: Words, quantity: str) -> str:
    return told.score(value) if quantity == "accuracy" else told.loss(value, 4)


def _with_room(places: list[float]) -> list[float]:
    """Return the ends of an axis that leave room for the numbers to the right of the marks."""
    low, high = min(places), max(places)
    span = (high - low) or abs(high) or 1.0
    return [low - ROOM_LEFT * span, high + ROOM_RIGHT * span]


def _place(value: float, log: bool) -> float:
    """Return where an annotation stands: on a logarithmic axis, by the exponent."""
    return math.log10(value) if log else value


def _marks(
    rows: list[Mapping[str, Any]],
    title: str,
    symbol: str,
    colours: Palette,
    told: Words,
    quantity: str,
    split: str,
) -> go.Scatter:
    values = [float(row[split][quantity]) for row in rows]
    return go.Scatter(
        x=values,
        y=[_name(row) for row in rows],
        mode="markers",
        name=title,
        text=[_number(value, told, quantity) for value in values],
        cliponaxis=False,
        marker={
            "symbol": symbol,
            "size": 14,
            "color": _colour(str(rows[0]["kind"]), colours),
            "line": {"color": colours.paper, "width": 1},
        },
        hovertemplate="<b>%{y}</b><br>%{text}<extra>" + title + "</extra>",
    )


def _colour(kind: str, colours: Palette) -> str:
    known = {
        "input": colours.models["A"],
        "naive": colours.models["B"],
        "merged": colours.models["pi_b"],
        "repaired": colours.models["pi_b"],
    }
    return known.get(kind, colours.muted)


def _name(row: Mapping[str, Any]) -> str:
    """Return a row's name on the axis: short, and its own where two files are called alike."""
    title = str(row["title"])
    if row["kind"] != "input":
        return KINDS[row["kind"]][0]
    number = str(row["key"]).rpartition("-")[2].lstrip("0")
    short = title if len(title) <= MOST_NAME else f"{title[: MOST_NAME - 1]}…"
    return f"{number}  {short}"
