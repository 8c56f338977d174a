"""A finished plane: headline, the plane, the figure beside it, tables and downloads."""

from __future__ import annotations

import json
from collections.abc import Callable
from html import escape
from pathlib import Path

import streamlit as st

from engine.errors import BasinscopeError
from engine.figures.html_parts import SLICE_NOTE
from engine.figures.planes import SENTENCES, check_rows, model_rows, note, planes_headline
from engine.figures.planes_cuts import beside_figure
from engine.figures.planes_html import planes_html
from engine.runs import Result
from pages.ui import engine_access as access
from pages.ui.cards import html_table
from pages.ui.look import chart, theme
from pages.ui.plane_view import draw_plane, plane_controls

BINARY = "application/octet-stream"
FILES = (
    ("result.npz", "All numbers (result.npz)"),
    ("axis-u.safetensors", "The first axis"),
    ("axis-v.safetensors", "The second axis"),
)


def show_plane(run_id: str, found: Result) -> None:
    """Draw everything that a plane has."""
    summary = found.summary
    st.html(
        f'<h1 class="bs-headline">{escape(planes_headline(summary))}</h1>'
        f'<p class="bs-proof">{escape(SENTENCES[summary["kind"]])}</p>'
    )
    options = plane_controls(found.arrays, summary["plane"].get("split", "test"))
    left, right = st.columns([1.62, 1], gap="medium")
    with left:
        draw_plane(run_id, found.arrays, summary, options, "planes")
    with right:
        pca = summary["kind"] == "pca"
        what = "The loss along the training" if pca else "Cuts along both axes"
        st.html(f'<p class="bs-small"><b>{what}</b></p>')
        look = {"theme": theme(), "log": options["log"], "height": 420}
        chart(beside_figure(found.arrays, summary, **look), "planes_beside", what)
        with st.popover("Download", icon=":material/download:", width="stretch"):
            _downloads(run_id, found, options)
    st.caption(f"{note(summary)} {SLICE_NOTE}".strip())
    st.html("<h2>The networks</h2>")
    html_table(model_rows(summary))
    st.html("<h2>Geometry, measured</h2>")
    html_table(check_rows(summary))


def _downloads(run_id: str, found: Result, options: dict) -> None:
    """Draw the buttons; files are read and pages written only when one is pressed."""
    look = {"theme": theme(), "log": options["log"], "cap": options["cap"]}
    _button(
        "Stand-alone HTML",
        "plane.html",
        lambda: planes_html(
            found.arrays, found.summary, found.provenance, run_id=run_id, **look
        ).encode(),
        "text/html",
    )
    for name, title in FILES:
        try:
            path: Path | None = access.store().file(run_id, name)
            why = None
        except BasinscopeError as error:
            path, why = None, str(error)
        _button(title, name, bytes if path is None else path.read_bytes, BINARY, why)
    text = json.dumps(found.summary, indent=1, ensure_ascii=False)
    _button("The summary as JSON", "plane.json", text.encode, "application/json")


def _button(
    title: str, name: str, data: Callable[[], bytes], mime: str, why: str | None = None
) -> None:
    st.download_button(
        title,
        data=data,
        file_name=name,
        mime=mime,
        key=f"planes_{name}",
        on_click="ignore",
        disabled=why is not None,
        help=why,
        width="stretch",
    )
