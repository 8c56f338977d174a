"""A path on its way: the loss of its training, then the curves, then the plane; cancel."""

from __future__ import annotations

from html import escape

import streamlit as st

from engine.errors import BasinscopeError
from engine.figures.numbers import count, duration
from engine.figures.path import paths_of
from engine.figures.path_curves import path_figure, training_figure
from engine.figures.path_plane import path_plane_figure
from engine.runs import Partial, RunStatus
from pages.ui import engine_access as access
from pages.ui import keys
from pages.ui.literal import literal
from pages.ui.look import chart, square_chart, theme

POLL = 1.0  # seconds
STAGES = {
    "recognise": "Recognise",
    "data": "Data",
    "symmetry": "Symmetry",
    "proof": "Proof",
    "match": "Match",
    "equivalence": "π(B) = B?",
    "train": "Train",
    "ends": "Networks",
    "curves": "Curves",
    "plane": "Plane",
}
OF = {"match": " of matching", "train": " of training"}  # more comes after these
MATCHING = ("symmetry", "proof", "match", "equivalence")


@st.fragment(run_every=POLL)
def show_path_progress(run_id: str) -> None:
    """Draw a run's progress every second until it ends, then redraw the page."""
    try:
        status, partial = access.store().status(run_id), access.store().partial(run_id)
        matched = getattr(access.store().spec(run_id), "end", "b") != "b"
        if status.state == "queued":
            access.executor().ensure_worker()
    except BasinscopeError:  # deleted meanwhile: the page says so
        st.rerun()
    if status.ended:
        st.rerun()
    st.html(f'<h1 class="bs-headline">{escape(status.title)}</h1>{_stages(status.stage, matched)}')
    bar, button = st.columns([5, 1], vertical_alignment="center")
    bar.progress(min(max(status.fraction, 0.0), 1.0), text=_words(status))
    button.button(
        "Cancel", key=keys.CANCEL, width="stretch", on_click=access.cancel, args=(run_id,)
    )
    _partial(run_id, partial)


def show_path_ended(status: RunStatus) -> None:
    """Say why a run has no result, keep what it has, and offer to go on."""
    st.html(f'<h1 class="bs-headline">{escape(status.title)}</h1>')
    if status.state == "cancelled":
        st.info("It was cancelled. What was trained and evaluated is kept.")
    else:
        st.error(literal(status.reason or "The run failed without a reason; see the log."))
    if st.button("Run again", key=keys.AGAIN, type="primary"):
        try:
            access.recompute(status.run_id)
        except BasinscopeError as error:
            st.error(literal(error))
        else:
            st.rerun()
    _partial(status.run_id, access.store().partial(status.run_id))


def _partial(run_id: str, partial: Partial) -> None:
    """Draw the training, the curves and the planes as far as they are known."""
    left, right = st.columns([3, 2], gap="medium")
    ends = list(paths_of(partial.summary))
    with right:
        _training(run_id)
    with left:
        if any(name.startswith(("line_", "path_")) for name in partial.arrays):
            figure = path_figure(partial.arrays, partial.summary, theme=theme())
            chart(figure, "partial_path", "loss along the line and the curve so far")
        elif not ends:
            st.caption("The curves are drawn as soon as their bends are trained.")
        for end in ends:
            if f"plane_{end}_test_loss" not in partial.arrays:
                continue
            square_chart(
                lambda end=end: path_plane_figure(
                    partial.arrays, partial.summary, end, theme=theme(), basins=False
                ),
                f"partial_plane_{end}",
                "the plane as far as it is computed",
            )


def _training(run_id: str) -> None:
    """Draw the losses that were told, one figure for each curve."""
    events = [e for e in access.store().events(run_id).events if e.get("kind") == "training"]
    if not events:
        st.caption("The loss of the training appears with its first steps.")
        return
    last = events[-1]
    for end in dict.fromkeys(event["end"] for event in events):
        # A run that went on tells some steps again: the latest word counts.
        told = {event["step"]: event["loss"] for event in events if event["end"] == end}
        name = {"b": "B", "pi_b": "π(B)"}[end]
        st.html(f'<p class="bs-small"><b>Training</b> of the curve from A to {name}</p>')
        steps = sorted(told)
        figure = training_figure(steps, [told[step] for step in steps], theme=theme())
        chart(figure, f"training_{end}", "loss of the batches, each at its own place of the curve")
    st.caption(f"Step {count(last['step'])} of {count(last['steps'])}.")


def _words(status: RunStatus) -> str:
    if status.state == "queued":
        if status.ahead:
            return f"{count(status.ahead)} before it"
        return "A worker is starting: the first run takes a few seconds longer."
    what = OF.get(status.stage or "", "")
    left = f", about {duration(status.eta)}{what} left" if status.eta else ""
    return f"{100 * status.fraction:.0f}\u202f%{left}"


def _stages(now: str | None, matched: bool) -> str:
    """Return the stages as pills: past ones with a tick, the present one framed."""
    names = [name for name in STAGES if matched or name not in MATCHING]
    at = names.index(now) if now in names else -1
    pills = (
        f'<span class="bs-stage {"bs-past" if i < at else "bs-now" if i == at else ""}">'
        f"{'✓ ' if i < at else ''}{escape(STAGES[name])}</span>"
        for i, name in enumerate(names)
    )
    return f'<div class="bs-stages">{"".join(pills)}</div>'
