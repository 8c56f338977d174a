"""A run in progress: stages, objective per sweep, the plane as it sharpens, time left, cancel."""

from __future__ import annotations

from html import escape
from typing import Any

import streamlit as st

from engine.errors import BasinscopeError
from engine.figures import objective_figure
from engine.figures.numbers import count, duration, is_number
from engine.runs import Partial, RunStatus
from pages.ui import engine_access as access
from pages.ui import keys
from pages.ui.cards import html_proof
from pages.ui.literal import literal
from pages.ui.look import chart, theme
from pages.ui.plane_view import draw_plane, plane_controls

POLL, POLL_FIRST = 1.0, 0.25  # seconds between looks; the second until there is a plane
STAGES = {
    "recognise": "Recognise",
    "data": "Data",
    "symmetry": "Symmetry",
    "proof": "Proof",
    "match": "Match",
    "look": "First look",
    "equivalence": "π(B) = B?",
    "ends": "A, B, π(B)",
    "curves": "Curves",
    "plane": "Plane",
}
# A and B are at these places on every plane; where π(B) lies is known after the matching.
KNOWN_PLACES = {"positions": {"A": [0.0, 0.0], "B": [1.0, 0.0]}}


def show_progress(run_id: str) -> None:
    """Draw a run's progress until it ends, then redraw the page; more often before its plane."""
    try:
        first = not _has_plane(access.store().partial(run_id))
    except BasinscopeError:  # deleted meanwhile: the page says so
        st.rerun()
    st.fragment(_progress, run_every=POLL_FIRST if first else POLL)(run_id, first)


def _has_plane(partial: Partial) -> bool:
    return "plane_test_loss" in partial.arrays


def _progress(run_id: str, first: bool) -> None:
    """Draw how far a run is; `first` until the page is redrawn with its plane."""
    try:
        status = access.store().status(run_id)
    except BasinscopeError:  # deleted meanwhile: the page says so
        st.rerun()
    if status.ended:
        st.rerun()
    st.html(f'<h1 class="bs-headline">{escape(_title(status))}</h1>{_stages(status.stage)}')
    bar, button = st.columns([5, 1], vertical_alignment="center")
    bar.progress(min(max(status.fraction, 0.0), 1.0), text=_words(status))
    # A callback, since a redraw that interrupts this one must not lose the press.
    button.button(
        "Cancel", key=keys.CANCEL, width="stretch", on_click=access.cancel, args=(run_id,)
    )
    if status.reason:
        st.warning(literal(status.reason))
    if status.state == "queued":
        try:
            access.executor().ensure_worker()
        except BasinscopeError as error:
            st.error(literal(error))
    events = access.store().events(run_id).events
    tiles = [event for event in events if event.get("kind") == "tile"]
    trace = [event["objective"] for event in events if event.get("kind") == "sweep"]
    left, right = st.columns([3, 2], gap="medium")
    partial = access.store().partial(run_id)
    with left:
        partial_plane(run_id, partial, "partial_plane")
    with right:
        if partial.summary.get("equivalence"):
            html_proof(partial.summary)
        st.html('<p class="bs-small"><b>Matching</b>: the objective after each sweep</p>')
        chart(objective_figure(trace, theme=theme()), "sweeps", "objective after each sweep")
        if tiles:
            done, total = tiles[-1].get("done", 0), tiles[-1].get("total", 0)
            st.caption(f"{count(done)} of {count(total)} tiles are evaluated.")
    if first and _has_plane(partial):
        st.rerun()  # it is drawn: from now on more seldom


def partial_plane(run_id: str, partial: Partial, key: str) -> None:
    """Draw what is known of the plane; what is not computed yet is interpolated."""
    if not _has_plane(partial):
        st.caption("The plane appears as soon as its first points are evaluated.")
        return
    plane = {**KNOWN_PLACES, **(partial.summary.get("plane") or {})}
    summary: dict[str, Any] = {**partial.summary, "plane": plane}
    draw_plane(run_id, partial.arrays, summary, plane_controls(partial.arrays), key)
    st.caption(how_far(partial))


def how_far(partial: Partial) -> str:
    """Return how many points of an unfinished plane are known, and how well."""
    estimate = (partial.summary.get("plane") or {}).get("estimate")
    if not estimate:
        done, sampled = partial.arrays["plane_done"], partial.arrays["plane_sampled"]
        if sampled.any():
            return (
                f"A first look: {count(int(sampled.sum()))} points on a drawn sample, "
                "interpolated; all data follow."
            )
        known = f"{count(int(done.sum()))} of {count(done.size)} points"
        return f"{known} are computed; the others are interpolated until they are."
    text = f"{count(estimate['points_full'])} points are evaluated on all data"
    if estimate["sample"] is not None:
        text += f", {count(estimate['points_sample'])} on {count(estimate['sample'])} samples alone"
    errors = [estimate[f"error_{name}"] for name in ("median", "p95")]
    if all(is_number(error) for error in errors):
        median, high = (f"{100 * error:.2g}\u202f%" for error in errors)
        text += f"; estimated error {median} in the median, {high} at the 95th percentile"
    return f"{text}."


def show_ended(status: RunStatus) -> None:
    """Say why a run has no result, keep what it has, and offer to go on."""
    st.html(f'<h1 class="bs-headline">{escape(status.title)}</h1>')
    if status.state == "cancelled":
        st.info(f"{literal(status.reason or 'It was cancelled.')} Finished tiles are kept.")
    else:
        why = status.reason or "The run failed without a reason; the worker's log has more."
        st.error(literal(why))
    if st.button("Run again", key=keys.AGAIN, type="primary"):
        try:
            access.recompute(status.run_id)
        except BasinscopeError as error:
            st.error(literal(error))
        else:
            st.rerun()
    left, _ = st.columns([3, 2])
    with left:
        partial_plane(status.run_id, access.store().partial(status.run_id), "kept_plane")


def _title(status: RunStatus) -> str:
    return f"{status.title}…" if status.state == "running" else f"{status.title}: waiting"


def _words(status: RunStatus) -> str:
    """Return how far the run is and how long it will take."""
    if status.state == "queued":
        if status.ahead:
            return f"{count(status.ahead)} before it"
        return "A worker is starting: the first run takes a few seconds longer."
    left = f", about {duration(status.eta)} left" if status.eta else ""
    return f"{100 * status.fraction:.0f}\u202f%{left}"


def _stages(now: str | None) -> str:
    """Return the stages as pills: past ones with a tick, the present one framed."""
    names = list(STAGES)
    at = names.index(now) if now in names else -1
    pills = (
        f'<span class="bs-stage {"bs-past" if i < at else "bs-now" if i == at else ""}">'
        f"{'✓ ' if i < at else ''}{escape(STAGES[name])}</span>"
        for i, name in enumerate(names)
    )
    return f'<div class="bs-stages">{"".join(pills)}</div>'
