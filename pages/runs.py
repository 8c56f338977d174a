"""Runs: every comparison asked so far; open one, delete one, put two side by side."""

from __future__ import annotations

from html import escape

import streamlit as st

from engine.figures import headline
from engine.runs import RunStatus
from pages.ui import engine_access as access
from pages.ui import keys
from pages.ui.cards import html_headline, metric_cards
from pages.ui.inspect_list import list_inspections
from pages.ui.launch import through_app
from pages.ui.literal import literal
from pages.ui.merge_shown import list_merges
from pages.ui.methods_list import list_methods
from pages.ui.path_shown import list_paths
from pages.ui.plane_view import draw_plane, plane_controls
from pages.ui.planes_shown import list_planes
from pages.ui.run_words import facts, loaded

FIRST = 30


def row(status: RunStatus) -> bool:
    """Draw one run; return whether it is ticked for comparison."""
    found = loaded(status)
    with st.container(border=True):
        tick, words, open_it, delete = st.columns([0.5, 6, 1, 1], vertical_alignment="center")
        reason = None if found else "Only finished runs can be compared."
        ticked = tick.checkbox(
            f"Compare {literal(status.title)}",
            key=keys.COMPARE + status.run_id,
            label_visibility="collapsed",
            disabled=found is None,
            help=reason,
        )
        words.html(
            f"<b>{escape(status.title)}</b><br>"
            f'<span class="bs-small bs-muted">{escape(" · ".join(facts(status, found)))}</span>'
        )
        if open_it.button("Open", key=keys.OPEN + status.run_id, width="stretch"):
            st.switch_page("pages/explore.py", query_params={keys.RUN: status.run_id})
        with delete:
            delete_button(status)
    return ticked


def delete_button(status: RunStatus) -> None:
    """A button that asks once more; disabled with the reason where nothing can be deleted."""
    why = "A built-in run cannot be deleted." if status.builtin else None
    if not status.ended:
        why = "Cancel it before you delete it."
    with st.popover("Delete", disabled=why is not None, help=why, width="stretch"):
        st.write("What was found is gone for good; the networks stay.")
        if st.button("Delete for good", key=keys.DELETE + status.run_id, type="primary"):
            access.store().delete(status.run_id)
            st.rerun()


def side_by_side(pair: list[RunStatus]) -> None:
    """Draw two finished runs beside each other, with one set of controls."""
    found = [access.result(status) for status in pair]
    options = plane_controls(found[0].arrays)
    for column, status, result in zip(st.columns(2, gap="large"), pair, found, strict=True):
        with column:
            st.html(f'<p class="bs-muted">{escape(status.title)}</p>')
            html_headline(result.summary, result.provenance)
            metric_cards(result.summary)
            key = f"pair_{status.run_id}"
            draw_plane(status.run_id, result.arrays, result.summary, options, key)
            st.caption(headline(result.summary).detail)


through_app()
st.html('<h1 class="bs-headline">Runs</h1>')
runs = access.store().list("compare")
if not runs:
    st.info("There is no run yet. Start one on the Explore page.")
shown = runs if st.session_state.get(keys.SHOW_ALL) else runs[:FIRST]
place = st.container()
ticked = [status for status in shown if row(status)]
if len(runs) > len(shown):
    st.toggle(f"Show all {len(runs)} runs", key=keys.SHOW_ALL)
list_methods(delete_button)
list_merges(delete_button)
list_paths(delete_button)
list_planes(delete_button)
list_inspections(delete_button)
with place:
    if len(ticked) == 2:
        side_by_side(ticked)
    elif runs:
        st.caption("Tick two finished runs to see them side by side.")
