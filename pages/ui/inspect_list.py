"""The inspected networks in the list of runs: what was found in each, open it, delete it."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

import streamlit as st

from engine.figures.inspect_words import inspect_headline, proof_words
from engine.runs import RunStatus
from pages.ui import engine_access as access
from pages.ui import keys
from pages.ui.run_words import loaded, state_and_age

FIRST = 10


def list_inspections(delete_button: Callable[[RunStatus], None]) -> None:
    """Draw every inspection asked so far, newest first; self-tests belong to their network."""
    runs = access.store().list("inspect")
    if not runs:
        return
    st.html('<h2 class="bs-section">Inspected networks</h2>')
    for status in runs if st.session_state.get(keys.SHOW_ALL_INSPECTED) else runs[:FIRST]:
        with st.container(border=True):
            words, open_it, delete = st.columns([6, 1, 1], vertical_alignment="center")
            words.html(
                f"<b>{escape(status.title)}</b><br>"
                f'<span class="bs-small bs-muted">{escape(" · ".join(_facts(status)))}</span>'
            )
            if open_it.button("Open", key=keys.OPEN + status.run_id, width="stretch"):
                st.switch_page("pages/inspect.py", query_params={keys.RUN: status.run_id})
            with delete:
                delete_button(status)
    if len(runs) > FIRST:
        st.toggle(f"Show all {len(runs)} inspected networks", key=keys.SHOW_ALL_INSPECTED)


def _facts(status: RunStatus) -> list[str]:
    found = loaded(status)
    middle = []
    if found is not None:
        lead, _ = proof_words(found.summary)
        middle = [inspect_headline(found.summary), lead.rstrip(":").lower()]
    return state_and_age(status, [part for part in middle if part])
