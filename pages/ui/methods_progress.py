"""A comparison of methods in progress: what each method is doing, finished rows, cancel."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import streamlit as st

from engine.errors import BasinscopeError
from engine.figures.methods_tables import methods_rows
from engine.figures.numbers import count, duration
from engine.runs import RunStatus
from pages.ui import engine_access as access
from pages.ui import keys
from pages.ui.cards import html_table
from pages.ui.literal import literal

POLL = 0.7  # seconds
SIGNS = {"done": "✓ ", "failed": "✕ "}
WORDS = {"matching": "matching", "lines": "its lines", "done": "", "failed": "not possible"}


@st.fragment(run_every=POLL)
def show_methods_progress(run_id: str) -> None:
    """Draw how far each method is until the run ends, then redraw the page."""
    try:
        status = access.store().status(run_id)
        partial = access.store().partial(run_id)
        events = access.store().events(run_id).events
    except BasinscopeError:  # deleted meanwhile
        st.rerun()
    if status.ended:
        st.rerun()
    bar, button = st.columns([5, 1], vertical_alignment="center")
    bar.progress(min(max(status.fraction, 0.0), 1.0), text=_words(status))
    # A callback, since a redraw that interrupts this one must not lose the press.
    button.button(
        "Cancel", key=keys.METHODS_CANCEL, width="stretch", on_click=access.cancel, args=(run_id,)
    )
    if status.reason:
        st.warning(literal(status.reason))
    if status.state == "queued":
        try:
            access.executor().ensure_worker()
        except BasinscopeError as error:
            st.error(literal(error))
    asked = partial.summary.get("asked") or ()
    if asked:
        last = {event["method"]: event for event in events if event.get("kind") == "method"}
        st.html(_pills(asked, last))
    if partial.summary.get("rows"):
        html_table(methods_rows(partial.summary, {}))


def show_methods_ended(status: RunStatus) -> None:
    """Say why there is no result, and offer to go on."""
    if status.state == "cancelled":
        st.info(f"{literal(status.reason or 'It was cancelled.')} What was finished is kept.")
    else:
        st.error(literal(status.reason or "It failed without a reason; the log has more."))
    st.button(
        "Go on",
        key=keys.METHODS_AGAIN,
        type="primary",
        on_click=_again,
        args=(status.run_id,),
    )


def _again(run_id: str) -> None:
    try:
        access.recompute(run_id)
    except BasinscopeError as error:
        st.error(literal(error))


def _words(status: RunStatus) -> str:
    """Return how far the run is and how long it will take."""
    if status.state == "queued":
        if status.ahead:
            return f"{count(status.ahead)} before it"
        return "A worker is starting: the first run takes a few seconds longer."
    left = f", about {duration(status.eta)} left" if status.eta else ""
    stage = f"{literal(status.stage)}, " if status.stage else ""
    return f"{stage}{100 * status.fraction:.0f}\u202f%{left}"


def _pills(asked: list[Mapping[str, Any]], last: Mapping[str, Mapping[str, Any]]) -> str:
    """Return every method with what it is doing, the present one framed."""
    pills = []
    for method in asked:
        event = last.get(method["id"]) or {}
        state = str(event.get("state", ""))
        style = {"done": "bs-past", "failed": "bs-past"}.get(state, "bs-now" if state else "")
        doing = WORDS.get(state, "")
        text = f"{SIGNS.get(state, '')}{method['title']}{f': {doing}' if doing else ''}"
        pills.append(f'<span class="bs-stage {style}">{escape(text)}</span>')
    return f'<div class="bs-stages">{"".join(pills)}</div>'
