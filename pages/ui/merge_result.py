"""A finished merge: headline, proof, one plot, the table, and what can be downloaded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from typing import Any

import streamlit as st

from engine.errors import BasinscopeError
from engine.figures import objective_figure
from engine.figures.merge import (
    QUANTITIES,
    merge_figure,
    merge_headline,
    merge_proof,
    quantities,
    score_rows,
)
from engine.figures.numbers import count, duration, is_number
from engine.runs import Result
from pages.ui import engine_access as access
from pages.ui import keys
from pages.ui.cards import html_table
from pages.ui.look import chart, theme

SPLITS = {"test": "Test", "train": "Train"}


def show_merge(run_id: str, found: Result) -> None:
    """Draw everything that a merge has found."""
    summary = found.summary
    st.html(
        f'<h1 class="bs-headline">{escape(merge_headline(summary))}</h1>'
        f'<p class="bs-proof"><b>Same functions:</b> {escape(merge_proof(summary))}</p>'
    )
    quantity, split = _controls(summary)
    chart(
        merge_figure(summary, theme=theme(), quantity=quantity, split=split),
        "merge",
        f"{split} {QUANTITIES[quantity].lower()} of each input, the averages and the ensemble",
    )
    html_table(score_rows(summary))
    left, right = st.columns(2, gap="large")
    with left:
        _downloads(run_id, summary)
    with right:
        _alignment(found)


def _controls(summary: Mapping[str, Any]) -> tuple[str, str]:
    left, right, _ = st.columns([2, 1, 2])
    quantity = left.segmented_control(
        "Quantity",
        quantities(summary),
        default="loss",
        format_func=QUANTITIES.__getitem__,
        key=keys.MERGE_QUANTITY,
        label_visibility="collapsed",
    )
    split = right.segmented_control(
        "Split",
        list(SPLITS),
        default="test",
        format_func=SPLITS.__getitem__,
        key=keys.MERGE_SPLIT,
        label_visibility="collapsed",
    )
    return quantity or "loss", split or "test"


def _downloads(run_id: str, summary: Mapping[str, Any]) -> None:
    st.markdown("**The merged network**")
    name = str(summary.get("file"))
    try:
        path, why = access.store().file(run_id, name), None
    except BasinscopeError as error:
        path, why = None, str(error)
    st.download_button(
        f"Download {name}",
        data=bytes if path is None else path.read_bytes,
        file_name=name,
        mime="application/octet-stream",
        type="primary",
        disabled=path is None,
        help=why,
        on_click="ignore",
        width="stretch",
    )
    st.caption("With the names, the precision and the order of units of the first network.")
    repair = summary.get("repair") or {}
    for note in repair.get("notes") or ():
        st.caption(note)
    if not repair.get("folded", True):
        st.caption(f"Divide its logits by the temperature {repair['temperature']:.4g}.")
    st.download_button(
        "All numbers as JSON",
        data=lambda: json.dumps(summary, indent=1, ensure_ascii=False),
        file_name="merge.json",
        mime="application/json",
        on_click="ignore",
        width="stretch",
    )


def _alignment(found: Result) -> None:
    told = found.summary["alignment"]
    seconds = found.provenance.get("alignment_seconds")
    took = f" It took {duration(seconds)}." if is_number(seconds) else ""
    rounds = "one round" if told["rounds"] == 1 else f"{count(told['rounds'])} rounds"
    st.markdown(f"**{told['title'][0].upper()}{told['title'][1:]}**, {rounds}")
    figure = objective_figure(told["trace"], theme=theme())
    figure.update_xaxes(title_text="round").update_yaxes(title_text="Σ ⟨A, B⟩")
    chart(
        figure,
        "merge_trace",
        "sum over all pairs of their inner product after each round",
    )
    st.caption(f"The sum over all pairs of ⟨A, B⟩ in one frame. {told['stop_sentence']}{took}")
