"""Explore, the home page: choose two networks, run, and see what the permutation does."""

from __future__ import annotations

import streamlit as st

from pages.ui.inspect_shown import show_elsewhere
from pages.ui.literal import literal
from pages.ui.methods_page import show_methods_page
from pages.ui.progress import show_ended, show_progress
from pages.ui.result import show_result
from pages.ui.shown import Shown, shown_run
from pages.ui.sidebar import sidebar

WELCOME = (
    "Choose two networks of one architecture in the sidebar and press **Run**: you will see the "
    "loss between them, before and after one is permuted."
)

OTHER = "Below is still **{title}**. Press **Run** to compare the networks chosen in the sidebar."


def main(shown: Shown) -> None:
    """Draw the run: its result, its progress, or why there is none."""
    if shown.problem:
        show_elsewhere(shown.run_id, shown.problem, shown.page, "Back to the built-in pair")
    elif shown.run_id is None or shown.status is None:
        st.info(WELCOME)
    elif shown.methods:
        show_methods_page(shown.status)
    elif shown.result is not None:
        show_result(shown.run_id, shown.result)
    elif shown.status.ended:
        show_ended(shown.status)
    else:
        show_progress(shown.run_id)


here = shown_run()
with st.sidebar:
    another = sidebar(here)
# A place of its own, there or not: what follows keeps its place when a new run's progress comes.
note = st.empty()
if another and here.status is not None:
    note.caption(OTHER.format(title=literal(here.status.title)))
main(here)
