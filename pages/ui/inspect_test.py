"""The planted-permutation self-test of the network shown: ask it, wait for it, read it."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import streamlit as st

from engine.errors import BasinscopeError
from engine.figures.inspect_words import recovery_html
from engine.figures.numbers import count, duration
from engine.runs import RunStatus, SelfTestSpec
from pages.ui import engine_access as access
from pages.ui import keys
from pages.ui.literal import literal

POLL = 0.7  # seconds
EXPLAINED = (
    "All groups of this network are permuted at random, and weight matching puts the result back "
    "onto the network itself. The right answer is known, so that every unit can be checked. Units "
    "that are exactly alike may come back in each other's places: that is as right."
)


def self_test_part(summary: Mapping[str, Any]) -> None:
    """Draw the self-test: its button, its progress or its outcome."""
    st.caption(EXPLAINED)
    if not summary["symmetry"]["groups"]:
        st.info("This network has no permutation group: there is nothing to plant.")
        return
    if not (summary.get("checkpoint") or {}).get("sha256") or summary.get("proof") is None:
        st.info("The self-test needs the weights, which are not read yet.")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        seed = st.number_input("Seed", min_value=0, step=1, key=keys.TEST_SEED, width=140)
        pressed = st.button("Run the self-test", key=keys.TEST_START, type="primary")
    checkpoint = summary["checkpoint"]
    spec = SelfTestSpec(checkpoint=checkpoint["sha256"], seed=int(seed))
    if pressed:
        try:
            access.submit(spec, f"Self-test of {checkpoint['name']}")
        except BasinscopeError as error:
            st.error(literal(error))
    status = _status(spec)
    if status is None:
        return
    if not status.ended:
        _wait(status.run_id)
    elif status.state != "done":
        st.error(literal(status.reason or "It was cancelled."))
    else:
        _outcome(status)


def _status(spec: SelfTestSpec) -> RunStatus | None:
    try:
        return access.store().status(spec.run_id)
    except BasinscopeError:  # never asked
        return None


@st.fragment(run_every=POLL)
def _wait(run_id: str) -> None:
    """Say how far the test is, and redraw the page when it is done."""
    try:
        status = access.store().status(run_id)
    except BasinscopeError:
        st.rerun()
    if status.ended:
        st.rerun()
    words = status.stage or "waiting for a worker"
    bar, button = st.columns([5, 1], vertical_alignment="center")
    bar.progress(min(max(status.fraction, 0.0), 1.0), text=f"{words}…")
    if button.button("Cancel", key=keys.TEST_CANCEL, width="stretch"):
        access.executor().cancel(run_id)


def _outcome(status: RunStatus) -> None:
    try:
        found = access.result(status)
    except BasinscopeError as error:
        st.error(literal(error))
        return
    summary = found.summary
    sign, style = ("✓", "bs-good") if summary["recovered"] else ("✕", "bs-bad")
    took = duration((found.provenance.get("seconds") or {}).get("self_test"))
    right = count(summary["exact"] + summary["tied"])
    sweeps = "1 sweep" if summary["sweeps"] == 1 else f"{count(summary['sweeps'])} sweeps"
    more = f"{summary['sentence']} {sweeps}, {took}."
    st.html(
        f'<h2 class="bs-headline"><span class="{style}">{sign}</span> '
        f"{right} of {count(summary['units'])} units recovered</h2>"
        f'<p class="bs-proof">{escape(more)}</p>'
    )
    st.html(recovery_html(summary["groups"]))
