"""One stand-alone HTML page of a result: headline, proof, every figure and table, no network.

plotly.js is written into the page, so that it opens from a disk years from now; each figure has
a button that saves it as PNG in the reader's own browser. Names that came with the files are
escaped everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from engine.figures.curves import curves_figure
from engine.figures.geometry import Arrays, Summary
from engine.figures.headline import SIGNS, headline, proof_lead, proof_sentence
from engine.figures.html_parts import PAGE, SECTION, STYLE
from engine.figures.layers import layer_rows, layers_figure
from engine.figures.matching import matching_figure
from engine.figures.numbers import count, duration, plain
from engine.figures.palette import Palette, palette
from engine.figures.plane import plane_figure
from engine.figures.plane_words import plane_notes
from engine.figures.surface import surface_figure
from engine.figures.tables import barrier_rows, definitions, model_rows
from engine.figures.task import words

Rows = Sequence[Mapping[str, Any]]


def standalone_html(
    arrays: Arrays,
    summary: Summary,
    provenance: Mapping[str, Any] | None = None,
    *,
    theme: str = "light",
    log: bool = True,
    cap: float | None = None,
    run_id: str = "",
) -> str:
    """Return the whole page as text.

    Args:
        arrays, summary, provenance: a stored result.
        theme: "light" or "dark".
        log, cap: the planes' colour scale.
        run_id: shown in the page's foot, so that the run can be found again.
    """
    colours = palette(theme)
    told = headline(summary)
    sections = "".join(
        figure_section(index, title, file_name, figure)
        for index, (title, file_name, figure) in enumerate(
            _figures(arrays, summary, theme, log, cap)
        )
    )
    return PAGE.format(
        title=escape(told.text),
        theme=colours.name,
        style=page_style(colours),
        plotlyjs=get_plotlyjs(),
        headline=f'<span class="sign">{SIGNS[told.tone]}</span> {escape(told.text)}',
        detail=escape(told.detail),
        lead=escape(proof_lead(summary)),
        proof=escape(proof_sentence(summary)),
        models=_models(summary),
        sections=sections,
        note=escape(" ".join(plane_notes(summary))),
        barriers=table(barrier_rows(summary)),
        definitions=_definitions(summary),
        networks=table(model_rows(summary)),
        layers=table(_rounded(layer_rows(summary))),
        foot=_foot(summary, provenance or {}, run_id),
    )


def table(rows: Rows) -> str:
    """Return rows of plain values as an HTML table; the keys of the first row are the head."""
    if not rows:
        return "<p>nothing to show</p>"
    head = "".join(f"<th>{escape(str(key))}</th>" for key in rows[0])
    lines = (
        "<tr>" + "".join(f"<td>{escape(str(value))}</td>" for value in row.values()) + "</tr>"
        for row in rows
    )
    return f'<div class="scroll"><table><tr>{head}</tr>{"".join(lines)}</table></div>'


def _figures(
    arrays: Arrays, summary: Summary, theme: str, log: bool, cap: float | None
) -> list[tuple[str, str, go.Figure]]:
    """Return (title, file name, figure) of everything that is drawn."""
    look: dict[str, Any] = {"theme": theme, "log": log, "cap": cap}
    score = words(summary).task.score
    drawn = [
        ("The plane through A, B and π(B)", "plane", plane_figure(arrays, summary, **look)),
        ("The loss along the edges", "curves", curves_figure(arrays, summary, theme=theme)),
        ("The plane as a surface", "surface", surface_figure(arrays, summary, **look)),
        ("Layer by layer", "layers", layers_figure(summary, theme=theme)),
        ("Matching", "matching", matching_figure(summary, theme=theme)),
    ]
    if score is None:
        return drawn
    figure = curves_figure(arrays, summary, theme=theme, quantity="accuracy")
    return [*drawn[:3], (f"The {score} along the edges", "accuracy", figure), *drawn[3:]]


def figure_section(index: int, title: str, file_name: str, figure: go.Figure) -> str:
    """Return one figure with its title and PNG button; "</" cannot end the script early."""
    data = (figure.to_json() or "{}").replace("</", "<\\/")
    square = file_name in ("plane", "surface")
    box = 'class="square"' if square else f'style="height:{int(figure.layout.height or 500)}px"'
    return SECTION.format(index=index, title=escape(title), file_name=file_name, data=data, box=box)


def _models(summary: Summary) -> str:
    """Return what A and B are: names, architecture, data."""
    a, b = summary.get("a") or {}, summary.get("b") or {}
    model, data = summary.get("model") or {}, summary.get("data") or {}
    samples = (data.get("test") or {}).get("samples")
    parts = [
        f"<b>A</b> {escape(str(a.get('name', '')))}",
        f"<b>B</b> {escape(str(b.get('name', '')))}",
        f"{escape(str(model.get('title', '')))}, {count(model.get('parameters', 0))} parameters",
        escape(str(data.get("title", ""))),
    ]
    if samples:
        parts.append(f"{count(samples)} test samples")
    if statement := (summary.get("task") or {}).get("statement"):
        parts.append(escape(statement.rstrip(".")))
    return " · ".join(parts)


def _definitions(summary: Summary) -> str:
    """Return every definition of a barrier with its source."""
    items = (
        f"<li><b>{escape(d.title)}</b> <code>{escape(d.formula)}</code> {escape(d.words)} "
        f'<a href="{escape(d.link)}">{escape(d.source)}</a></li>'
        for d in definitions(summary)
    )
    return f"<ul>{''.join(items)}</ul>"


def _rounded(rows: Rows) -> list[dict[str, str]]:
    """Write the per-layer numbers with three digits."""
    return [
        {
            key: plain(value) if isinstance(value, float) or value is None else str(value)
            for key, value in row.items()
        }
        for row in rows
    ]


def _foot(summary: Summary, provenance: Mapping[str, Any], run_id: str) -> str:
    """Return where and when it was computed, and the fingerprints."""
    seconds = provenance.get("seconds") or {}
    parts = [f"run {run_id}"] if run_id else []
    if seconds:
        total = sum(value for value in seconds.values() if isinstance(value, int | float))
        parts.append(f"computed in {duration(total)}")
    known = [key for key in ("device", "torch", "basinscope", "finished") if provenance.get(key)]
    parts += [f"{key} {provenance[key]}" for key in known]
    for key in ("a", "b"):
        digest = (summary.get(key) or {}).get("sha256")
        if digest:
            parts.append(f"{key.upper()} sha256 {digest[:16]}…")
    return escape(" · ".join(parts))


def page_style(colours: Palette) -> str:
    """Return the page's CSS in a theme's colours."""
    variables = {
        "text": colours.text,
        "muted": colours.muted,
        "grid": colours.grid,
        "paper": colours.paper,
        "accent": colours.models["A"],
        "good": colours.edges["rebasin"],
    }
    root = "".join(f"--{name}:{value};" for name, value in variables.items())
    return f":root{{{root}}}{STYLE}"
