"""Inspect: one network before anything is computed with it; its tensors, groups and proof."""

from __future__ import annotations

import streamlit as st

from engine.errors import BasinscopeError
from engine.runs import RunStatus
from pages.ui import engine_access as access
from pages.ui import keys
from pages.ui.inspect_choice import STORED, choose_network, headers_result
from pages.ui.inspect_result import show_inspection
from pages.ui.inspect_shown import ShownInspection, show_elsewhere, shown_inspection
from pages.ui.launch import through_app
from pages.ui.literal import literal
from pages.ui.pair import Side
from pages.ui.pair_cards import wait_for

POLL = 0.7  # seconds
WELCOME = (
    "Choose a network in the sidebar: you will see its tensors at once, then which of its units "
    "may be permuted, and the proof."
)


def follow(side: Side, here: ShownInspection) -> None:
    """Go to the chosen network's address, unless it is the one that is shown."""
    if side.info is None or (side.info.sha256 == here.sha256):
        return
    try:
        run_id = access.inspect_run(side.info)
    except BasinscopeError as error:
        st.error(literal(error))
        return
    st.session_state[keys.ONE_SEEN] = run_id
    st.query_params[keys.RUN] = run_id
    st.rerun()


def main(here: ShownInspection, side: Side) -> None:
    """Draw what is known of the chosen network: everything, or what its headers show."""
    gone = here.result is not None and st.session_state[keys.ONE_SOURCE] == STORED
    if side.info is not None or gone:  # a stored answer outlives its network
        show_run(here)
        return
    if side.problem:
        st.error(literal(side.problem))
    headers = headers_result()
    if headers is not None:
        show_inspection(headers.summary, headers.provenance)
    elif side.problem is None and side.waiting is None:
        st.info(WELCOME)


def show_run(here: ShownInspection) -> None:
    """Draw a run: finished, failed or on its way."""
    if here.result is not None:
        show_inspection(here.result.summary, here.result.provenance)
    elif here.run_id is not None and here.status is not None:
        if here.status.ended:
            show_ended(here.status)
        else:
            show_progress(here.run_id)


@st.fragment(run_every=POLL)
def show_progress(run_id: str) -> None:
    """Draw what is known so far, more every moment, until the run ends."""
    try:
        status = access.store().status(run_id)
        partial = access.store().partial(run_id)
    except BasinscopeError:  # deleted meanwhile: the page says so
        st.rerun()
    if status.ended:
        st.rerun()
    words = status.stage or "waiting for a worker: the first run takes a few seconds longer"
    st.progress(min(max(status.fraction, 0.0), 1.0), text=f"{words}…")
    if status.state == "queued":
        try:
            access.executor().ensure_worker()
        except BasinscopeError as error:
            st.error(literal(error))
    if partial.summary:
        show_inspection(partial.summary, {})


def show_ended(status: RunStatus) -> None:
    """Say why a run has no result, and offer to ask again."""
    st.error(literal(status.reason or "It was cancelled."))
    if st.button("Run again", key=keys.AGAIN, type="primary"):
        try:
            access.recompute(status.run_id)
        except BasinscopeError as error:
            st.error(literal(error))
        else:
            st.rerun()


through_app()
here = shown_inspection()
if here.problem:
    show_elsewhere(here.run_id, here.problem, here.page, "Back to the chosen network")
with st.sidebar:
    chosen = choose_network(here.sha256, here.run_id)
    if chosen.waiting:
        wait_for((chosen.waiting,))
if not here.problem:
    follow(chosen, here)
    main(here, chosen)
