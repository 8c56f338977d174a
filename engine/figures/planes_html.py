"""One stand-alone HTML page of a plane of another kind; see `engine.figures.html`."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from plotly.offline import get_plotlyjs

from engine.figures.geometry import Arrays, Summary
from engine.figures.html import figure_section, page_style, table
from engine.figures.html_parts import SLICE_NOTE
from engine.figures.palette import palette
from engine.figures.plane import plane_figure
from engine.figures.planes import KINDS, SENTENCES, check_rows, model_rows, note, planes_headline
from engine.figures.planes_cuts import beside_figure
from engine.figures.surface import surface_figure

PAGE = """<!doctype html>
<html lang="en" style="color-scheme:{theme}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>{headline}</title>
<style>{style}</style>
<script>{plotlyjs}</script>
</head>
<body><main>
<h1>{headline}</h1>
<p>{sentence}</p>
<div class="figures">{sections}</div>
<p class="muted">{note}</p>
<h2>The networks</h2>
{networks}
<h2>Geometry</h2>
{checks}
<p class="foot">{foot}</p>
</main></body></html>
"""


def planes_html(
    arrays: Arrays,
    summary: Summary,
    provenance: Mapping[str, Any] | None = None,
    *,
    theme: str = "light",
    log: bool = True,
    cap: float | None = None,
    run_id: str = "",
) -> str:
    """Return the whole page as text; arguments as for `standalone_html`."""
    colours = palette(theme)
    kind = str(summary.get("kind", ""))
    beside = "The loss along the training" if kind == "pca" else "Cuts along both axes"
    figures = (
        (KINDS[kind], "plane", plane_figure(arrays, summary, theme=theme, log=log, cap=cap)),
        (beside, "cuts", beside_figure(arrays, summary, theme=theme, log=log)),
        ("As a surface", "surface", surface_figure(arrays, summary, theme=theme, log=log, cap=cap)),
    )
    seconds = sum((provenance or {}).get("seconds", {}).values())
    parts = [f"run {run_id}"] if run_id else []
    parts += [f"computed in {seconds:.0f} s"] if seconds else []
    parts += [f"{m['name']} sha256 {m['sha256'][:16]}…" for m in summary.get("models") or ()]
    return PAGE.format(
        theme=colours.name,
        style=page_style(colours),
        plotlyjs=get_plotlyjs(),
        headline=escape(planes_headline(summary)),
        sentence=escape(SENTENCES[kind]),
        sections="".join(
            figure_section(index, title, name, figure)
            for index, (title, name, figure) in enumerate(figures)
        ),
        note=escape(f"{note(summary)} {SLICE_NOTE}".strip()),
        networks=table(model_rows(summary)),
        checks=table(check_rows(summary)),
        foot=escape(" · ".join(parts)),
    )
