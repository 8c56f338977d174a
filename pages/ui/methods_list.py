"""The comparisons of methods in the list of runs: what was found in each, open it, delete it."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

import streamlit as st

from engine.figures.methods_tables import methods_headline
from engine.runs import RunStatus
from pages.ui import engine_access as access
from pages.ui import keys
from pages.ui.run_words import loaded, state_and_age

FIRST = 10


def list_methods(delete_button: Callable[[RunStatus], None]) -> None:
    """Draw every comparison of methods asked so far, newest first."""
    runs = access.store().list("methods")
    if not runs:
        return
    st.html("<h2>Methods tried</h2>")
    for status in runs if st.session_state.get(keys.SHOW_ALL_METHODS) else runs[:FIRST]:
        found = loaded(status)
        told = [] if found is None else [methods_headline(found.summary)]
        facts = " · ".join(state_and_age(status, told))
        with st.container(border=True):
            words, open_it, delete = st.columns([6, 1, 1], vertical_alignment="center")
            words.html(
                f"<b>{escape(status.title)}</b><br>"
                f'<span class="bs-small bs-muted">{escape(facts)}</span>'
            )
            if open_it.button("Open", key=keys.OPEN + status.run_id, width="stretch"):
                st.switch_page("pages/explore.py", query_params={keys.RUN: status.run_id})
            with delete:
                delete_button(status)
    if len(runs) > FIRST:
        st.toggle(f"Show all {len(runs)} of them", key=keys.SHOW_ALL_METHODS)
