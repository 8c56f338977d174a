"""A finished path: headline, plane beside the curves, tables, training, downloads."""

from __future__ import annotations

import json
from html import escape
from typing import Any

import streamlit as st

from engine.errors import BasinscopeError
from engine.figures import proof_lead, proof_sentence
from engine.figures.path import (
    BENDS_ON_IT,
    OFF_ITS_BENDS,
    barrier_table,
    checks_sentence,
    model_table,
    path_detail,
    path_headline,
    path_proof,
    paths_of,
)
from engine.figures.path_curves import path_figure, smoothed, training_figure
from engine.figures.path_plane import path_plane_figure
from engine.figures.task import words
from engine.runs import Result
from pages.ui import engine_access as access
from pages.ui import keys
from pages.ui.cards import html_table
from pages.ui.look import chart, square_chart, theme

SCALES = ("log", "linear")


def show_path(run_id: str, found: Result) -> None:
    """Draw everything that was found of a path."""
    summary = found.summary
    st.html(
        f'<h1 class="bs-headline">{escape(path_headline(summary))}</h1>'
        f'<p class="bs-proof">{escape(path_detail(summary))}</p>'
    )
    if problem := path_proof(summary):
        st.warning(problem)
    paths = paths_of(summary)
    end, quantity, log = _controls(found)
    left, right = st.columns([1.3, 1], gap="medium")
    with left:
        square_chart(
            lambda: path_plane_figure(found.arrays, summary, end, theme=theme(), log=log),
            f"path_plane_{end}",
            "Contours of the loss on the plane through A, the end and a bend, with the curve",
        )
    with right:
        figure = path_figure(
            found.arrays, summary, theme=theme(), quantity=quantity, log=log, height=470
        )
        chart(figure, "path_curves", f"{quantity} along the straight line and the curve")
    st.caption(checks_sentence(paths[end]))
    html_table(barrier_table(summary))
    _networks(summary)
    left, right = st.columns([1, 1.3], gap="large")
    with left:
        _downloads(run_id, summary)
    with right:
        _trainings(found)
    if summary.get("proof"):
        st.caption(f"{proof_lead(summary)} {proof_sentence(summary)}")


def _controls(found: Result) -> tuple[str, str, bool]:
    """Draw which curve's plane, which quantity and which scale are shown."""
    paths, score = paths_of(found.summary), words(found.summary).task.score
    with st.container(horizontal=True, vertical_alignment="center"):
        end = next(iter(paths))
        if len(paths) > 1:
            chosen = st.segmented_control(
                "Plane of the curve to",
                list(paths),
                default=end,
                required=True,
                format_func=lambda key: f"plane of A, {paths[key]['end']}",
                key=keys.PATH_PLANE,
                label_visibility="collapsed",
            )
            end = chosen or end
        scale = st.segmented_control(
            "Scale",
            SCALES,
            default="log",
            required=True,
            key=keys.PATH_SCALE,
            label_visibility="collapsed",
        )
        quantity = st.segmented_control(
            "Quantity",
            ["loss", "accuracy"] if score else ["loss"],
            format_func=lambda name: score or name if name == "accuracy" else name,
            default="loss",
            required=True,
            key=keys.PATH_QUANTITY,
            label_visibility="collapsed",
        )
    return end, quantity or "loss", scale != "linear"


def _networks(summary: Any) -> None:
    shape = (summary.get("training") or {}).get("shape")
    with st.expander("The networks of the curve"):
        html_table(model_table(summary))
        st.caption(OFF_ITS_BENDS if shape == "bezier" else BENDS_ON_IT)


def _downloads(run_id: str, summary: Any) -> None:
    st.markdown("**Bends and numbers**")
    names = [*(summary.get("files") or ()), "result.npz"]
    if summary.get("matching"):
        names += ["pi_b.safetensors", "permutation.safetensors"]
    for place, name in enumerate(names):
        try:
            path, why = access.store().file(run_id, name), None
        except BasinscopeError as error:
            path, why = None, str(error)
        st.download_button(
            f"Download {name}",
            data=bytes if path is None else path.read_bytes,
            file_name=name,
            mime="application/octet-stream",
            key=f"download_{name}",
            type="primary" if place == 0 else "secondary",
            disabled=path is None,
            help=why,
            on_click="ignore",
            width="stretch",
        )
    st.caption("Bends have the names and the precision of A, in the format of its file.")
    st.download_button(
        "All numbers as JSON",
        data=lambda: json.dumps(dict(summary), indent=1, ensure_ascii=False),
        file_name="path.json",
        mime="application/json",
        on_click="ignore",
        width="stretch",
    )


def _trainings(found: Result) -> None:
    for key, path in paths_of(found.summary).items():
        st.markdown(f"**Training of the curve to {path['end']}**")
        figure = training_figure(*smoothed(found.arrays[f"training_{key}_loss"]), theme=theme())
        chart(figure, f"trained_{key}", "loss of the batches, each at its own place of the curve")
    st.caption("Each step looks at one place t of the curve and one batch; means of some steps.")
