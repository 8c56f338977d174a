"""Merge: two to many networks made one, beside each of them and their ensemble."""

from __future__ import annotations

import streamlit as st

from engine.errors import BasinscopeError
from engine.figures.merge import merge_headline
from engine.runs import MergeSpec, RunStatus
from pages.ui import engine_access as access
from pages.ui import keys, settings
from pages.ui.ask import ask
from pages.ui.inspect_shown import show_elsewhere
from pages.ui.launch import through_app
from pages.ui.literal import literal
from pages.ui.merge_choice import choose_method, choose_models, fill, filled_from, wanted
from pages.ui.merge_result import show_merge
from pages.ui.merge_shown import ShownMerge, list_merges, shown_merge

POLL = 0.7  # seconds
WELCOME = (
    "Choose two or more networks of one architecture in the sidebar and press **Merge**. They are "
    "brought into one order of units and averaged; the result is held against each of them, "
    "against the average without matching, and against their ensemble."
)


def sidebar(here: ShownMerge) -> None:
    """Draw the choices and the button; pressed, it opens the new run's address."""
    fill(here.spec, here.run_id)
    models, reading = choose_models()
    choose_method(models)
    with st.expander("Data"):
        settings.data_settings()
    st.number_input("Seed", min_value=0, step=1, key=keys.SEED)
    spec, problem = wanted(models, reading, here.spec)
    st.button(
        "Merge",
        key=keys.MERGE_START,
        type="primary",
        width="stretch",
        disabled=spec is None,
        on_click=_press,
    )
    if problem:
        st.caption(literal(problem))
    if st.session_state.pop(keys.MERGE_PRESSED, False) and spec is not None:
        start(spec, [info.name for info in models], here)


def _press() -> None:
    """Remember the press: a redraw that interrupts this one must not lose it."""
    st.session_state[keys.MERGE_PRESSED] = True


def start(spec: MergeSpec, names: list[str], here: ShownMerge) -> None:
    """Ask the run and go to its address, unless its answer is on the page already."""
    title = f"{names[0]} + {names[1]}" if len(names) == 2 else f"{names[0]} + {len(names) - 1} more"
    ask(spec, title, here, keys.MERGE_SEEN, filled_from)


@st.fragment(run_every=POLL)
def show_progress(run_id: str) -> None:
    """Draw how far the run is, until it ends."""
    try:
        status, partial = access.store().status(run_id), access.store().partial(run_id)
        if status.state == "queued":
            access.executor().ensure_worker()
    except BasinscopeError:  # deleted meanwhile: the page says so
        st.rerun()
    if status.ended:
        st.rerun()
    st.html(f'<h1 class="bs-headline">{merge_headline(partial.summary)}</h1>')
    words = status.stage or "waiting for a worker: the first run takes a few seconds longer"
    bar, button = st.columns([5, 1], vertical_alignment="center")
    bar.progress(min(max(status.fraction, 0.0), 1.0), text=f"{words}…")
    button.button(
        "Cancel", key=keys.CANCEL, width="stretch", on_click=access.cancel, args=(run_id,)
    )


def show_ended(status: RunStatus) -> None:
    """Say why a run has no result, and offer to go on."""
    st.error(literal(status.reason or "It was cancelled."))
    if st.button("Run again", key=keys.AGAIN, type="primary"):
        access.recompute(status.run_id)
        st.rerun()


through_app()
here = shown_merge()
with st.sidebar:
    sidebar(here)
if here.problem:
    show_elsewhere(here.run_id, here.problem, here.page, "Back to the chosen networks")
elif here.run_id is None or here.status is None:
    st.html('<h1 class="bs-headline">Merge networks</h1>')
    st.info(WELCOME)
    list_merges()
elif here.result is not None:
    show_merge(here.run_id, here.result)
elif here.status.ended:
    show_ended(here.status)
else:
    show_progress(here.run_id)
