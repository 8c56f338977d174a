"""A plane in progress: how far it is, and the plane as it sharpens; or why it ended."""

from __future__ import annotations

from html import escape

import streamlit as st

from engine.errors import BasinscopeError
from engine.figures.numbers import count, duration
from engine.figures.planes import planes_headline
from engine.runs import Partial, RunStatus
from pages.ui import engine_access as access
from pages.ui import keys
from pages.ui.literal import literal
from pages.ui.plane_view import draw_plane, plane_controls

POLL = 0.8  # seconds
STAGES = {
    "recognise": "reading the networks",
    "data": "loading data",
    "symmetry": "deriving the symmetry",
    "proof": "proving it",
    "match": "matching",
    "directions": "finding the plane's directions",
    "evaluate": "evaluating",
    "ends": "evaluating the networks",
    "plane": "evaluating the plane",
    "done": "done",
}


@st.fragment(run_every=POLL)
def show_progress(run_id: str) -> None:
    """Draw how far the run is and the plane as it sharpens, until it ends."""
    try:
        status, partial = access.store().status(run_id), access.store().partial(run_id)
        if status.state == "queued":
            access.executor().ensure_worker()
    except BasinscopeError:  # deleted meanwhile: the page says so
        st.rerun()
    if status.ended:
        st.rerun()
    st.html(f'<h1 class="bs-headline">{escape(planes_headline(partial.summary))}</h1>')
    bar, button = st.columns([5, 1], vertical_alignment="center")
    bar.progress(min(max(status.fraction, 0.0), 1.0), text=_words(status))
    button.button(
        "Cancel", key=keys.CANCEL, width="stretch", on_click=access.cancel, args=(run_id,)
    )
    _sharpening(run_id, partial, "planes_partial")


def show_ended(status: RunStatus) -> None:
    """Say why a run has no result, keep what it has, and offer to go on."""
    st.html(f'<h1 class="bs-headline">{escape(status.title)}</h1>')
    st.error(literal(status.reason or "It was cancelled."))
    if st.button("Run again", key=keys.AGAIN, type="primary"):
        access.recompute(status.run_id)
        st.rerun()
    try:
        _sharpening(status.run_id, access.store().partial(status.run_id), "planes_kept")
    except BasinscopeError:  # its files are gone: the reason is all there is
        return


def _sharpening(run_id: str, partial: Partial, key: str) -> None:
    """Draw what is known of the plane; what is not computed yet is interpolated."""
    place, _ = st.columns([1.62, 1], gap="medium")
    with place:
        done = partial.arrays.get("plane_done")
        if done is None:
            st.caption("The plane appears as soon as its first points are evaluated.")
            return
        split = (partial.summary.get("plane") or {}).get("split", "test")
        options = plane_controls(partial.arrays, split)
        draw_plane(run_id, partial.arrays, partial.summary, options, key)
        known = f"{count(int(done.sum()))} of {count(done.size)} points"
        st.caption(f"{known} are computed; the others are interpolated until they are.")


def _words(status: RunStatus) -> str:
    """Return what the run is doing and how long it will take."""
    if status.stage is None:
        return "waiting for a worker: the first run takes a few seconds longer…"
    left = f", about {duration(status.eta)} left" if status.eta else ""
    return f"{STAGES.get(status.stage, status.stage)}{left}…"
