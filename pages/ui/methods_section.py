"""Under a comparison: which other ways of matching and repairing work for this pair?

The section is a run of its own: asked with tick boxes, followed and drawn in place. What was
found out about the pair before is shown at once.
"""

from __future__ import annotations

import streamlit as st

from engine.errors import BasinscopeError
from engine.figures.numbers import duration
from engine.runs import CompareSpec, Result, RunStatus
from engine.runs.methods_spec import MethodsSpec
from pages.ui import engine_access as access
from pages.ui import keys
from pages.ui.literal import literal
from pages.ui.methods_choice import choose, describe, fill
from pages.ui.methods_progress import show_methods_ended, show_methods_progress
from pages.ui.methods_result import show_methods

MOST_LOOKED_AT = 200
TITLE = "Which method works for this pair?"
EXPLAINED = (
    "There are many ways to align B with A, and alignment alone may leave a barrier that repairs "
    "remove. Tick some and see them on one plot."
)


def methods_section(run_id: str, found: Result) -> None:
    """Draw the section under a finished comparison."""
    try:
        spec = access.store().spec(run_id)
    except BasinscopeError:  # deleted meanwhile: the page above says so
        return
    if isinstance(spec, CompareSpec):
        st.html(f'<h2 class="bs-headline bs-methods">{TITLE}</h2>')
        _section(run_id, spec, found)


@st.fragment
def _section(run_id: str, spec: CompareSpec, found: Result) -> None:
    """Draw the choice and what is known; ticking redraws no more than this."""
    status, asked = _known(run_id, spec)
    fill(asked, run_id)
    nothing_yet = status is None
    with st.expander("Choose methods and repairs", expanded=nothing_yet):
        st.caption(EXPLAINED)
        wanted, problem = choose(spec, found.summary, found.provenance)
        st.button(
            "Try them",
            key=keys.METHODS_START,
            type="primary",
            disabled=wanted is None,
            help=literal(problem) if problem else None,
            on_click=_ask,
            args=(wanted, run_id, found),
        )
        if problem:
            st.caption(literal(problem))
    shown = st.session_state.get(keys.METHODS_SHOWN) or {}
    if shown.get("of") == run_id and shown.get("problem"):
        st.error(literal(shown["problem"]))
    if status is None:
        return
    if status.state == "done":
        _finished(status, asked)
    elif status.ended:
        show_methods_ended(status)
    else:
        show_methods_progress(status.run_id)


def _ask(wanted: MethodsSpec | None, run_id: str, found: Result) -> None:
    """Ask the run; a callback, so that a redraw that interrupts this one does not lose it."""
    if wanted is None:
        return
    names = (found.summary["a"]["name"], found.summary["b"]["name"])
    try:
        asked = access.submit(wanted, f"Methods: {names[0]} → {names[1]}")
    except BasinscopeError as error:
        st.session_state[keys.METHODS_SHOWN] = {"of": run_id, "run": None, "problem": str(error)}
        return
    st.session_state[keys.METHODS_SHOWN] = {"of": run_id, "run": asked, "problem": None}
    st.session_state[keys.METHODS_FILLED] = (run_id, asked)


def _finished(status: RunStatus, asked: MethodsSpec | None) -> None:
    try:
        found = access.result(status)
    except BasinscopeError as error:
        st.error(literal(error))
        return
    show_methods(status.run_id, found)
    seconds = sum((found.provenance.get("seconds") or {}).values())
    tried = f"{describe(asked)}. " if asked else ""
    st.caption(
        f"{tried}Computed in {duration(seconds)}. [Permanent link](?{keys.RUN}={status.run_id})"
    )


def _known(run_id: str, spec: CompareSpec) -> tuple[RunStatus | None, MethodsSpec | None]:
    """Return the methods run to show under a comparison: the one just asked, else the newest."""
    shown = st.session_state.get(keys.METHODS_SHOWN) or {}
    chosen = shown["run"] if shown.get("of") == run_id else None
    runs = access.store().list("methods")[:MOST_LOOKED_AT]
    for status in sorted(runs, key=lambda run: run.run_id != chosen):
        try:
            asked = access.store().spec(status.run_id)
        except BasinscopeError:
            continue
        if isinstance(asked, MethodsSpec) and (status.run_id == chosen or _about(asked, spec)):
            return status, asked
    return None, None


def _about(asked: MethodsSpec, spec: CompareSpec) -> bool:
    """Say whether a methods run is about the pair and data of a comparison."""
    same_data = (asked.data.name, asked.data.sha256) == (spec.data.name, spec.data.sha256)
    return (asked.a, asked.b) == (spec.a, spec.b) and same_data
