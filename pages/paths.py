"""Paths: a curve of low loss between two networks, beside the straight line."""

from __future__ import annotations

import streamlit as st

from engine.runs import PathSpec
from pages.ui import keys, settings
from pages.ui.ask import ask
from pages.ui.inspect_shown import show_elsewhere
from pages.ui.launch import through_app
from pages.ui.literal import literal
from pages.ui.pair import Pair, choose_pair
from pages.ui.pair_cards import show_pair
from pages.ui.path_choice import choose_curve, fill, filled_from, wanted
from pages.ui.path_progress import show_path_ended, show_path_progress
from pages.ui.path_result import show_path
from pages.ui.path_shown import ShownPath, as_comparison, list_paths, shown_path
from pages.ui.sidebar import has_batch_norm

WELCOME = (
    "Choose two networks of one architecture in the sidebar and press **Find a path**. The bends "
    "of a curve from A to B are trained so that the loss stays low all along it; the curve is then "
    "held against the straight line, which mostly has a barrier."
)


def sidebar(here: ShownPath) -> None:
    """Draw the choices and the button; pressed, it opens the new run's address."""
    fill(here.spec, here.run_id)
    pair = choose_pair(as_comparison(here.spec))
    show_pair(pair, None)
    choose_curve(has_batch_norm(pair))
    with st.expander("Data"):
        settings.data_settings()
    spec, problem = wanted(pair, here.spec)
    st.button(
        "Find a path",
        key=keys.PATH_START,
        type="primary",
        width="stretch",
        disabled=spec is None,
        on_click=_press,
    )
    if problem:
        st.caption(literal(problem))
    if st.session_state.pop(keys.PATH_PRESSED, False) and spec is not None:
        start(spec, pair, here)


def _press() -> None:
    """Remember the press: a redraw that interrupts this one must not lose it."""
    st.session_state[keys.PATH_PRESSED] = True


def start(spec: PathSpec, pair: Pair, here: ShownPath) -> None:
    """Ask the run and go to its address, unless its answer is on the page already."""
    assert pair.a.info is not None
    assert pair.b.info is not None
    title = f"{pair.a.info.name} ⤳ {pair.b.info.name}"
    ask(spec, title, here, keys.PATH_SEEN, filled_from)


through_app()
here = shown_path()
with st.sidebar:
    sidebar(here)
if here.problem:
    show_elsewhere(here.run_id, here.problem, here.page, "Back to the chosen networks")
elif here.run_id is None or here.status is None:
    st.html('<h1 class="bs-headline">A path between two networks</h1>')
    st.info(WELCOME)
    list_paths()
elif here.result is not None:
    show_path(here.run_id, here.result)
elif here.status.ended:
    show_path_ended(here.status)
else:
    show_path_progress(here.run_id)
