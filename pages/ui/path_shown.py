"""Which path the address names, and the earlier ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from html import escape

import streamlit as st

from engine.errors import BasinscopeError
from engine.figures.path import path_headline
from engine.runs import CompareSpec, PathSpec, Result, RunStatus
from pages.ui import engine_access as access
from pages.ui import keys
from pages.ui.inspect_shown import EXPLORE
from pages.ui.run_words import loaded, state_and_age

PATHS = "pages/paths.py"
FIRST = 5


@dataclass(frozen=True)
class ShownPath:
    """A path as far as it can be shown; `page` is where else the run belongs."""

    run_id: str | None = None
    status: RunStatus | None = None
    spec: PathSpec | None = None
    result: Result | None = None
    problem: str | None = None
    page: str | None = None


def shown_path() -> ShownPath:
    """Return the path to show; never raises, a wrong link is a problem with a sentence."""
    run_id = st.query_params.get(keys.RUN)
    if run_id is None:
        return ShownPath()
    try:
        spec = access.store().spec(run_id)
        if isinstance(spec, CompareSpec):
            problem = "This link is to a comparison of two networks, which Explore shows."
            return ShownPath(run_id, problem=problem, page=EXPLORE)
        if not isinstance(spec, PathSpec):
            return ShownPath(run_id, problem=f"The run {run_id} is no path.")
        status = access.store().status(run_id)
        result = access.result(status) if status.state == "done" else None
    except BasinscopeError as error:
        return ShownPath(run_id, problem=str(error))
    return ShownPath(run_id, status, spec, result)


def as_comparison(spec: PathSpec | None) -> CompareSpec | None:
    """Return what both ask as the comparison that the sidebar is filled from."""
    if spec is None:
        return None
    return CompareSpec(
        a=spec.a,
        b=spec.b,
        data=spec.data,
        seed=spec.seed,
        plane_points=spec.plane_points,
        reset=spec.reset,
        reset_samples=spec.reset_samples,
    )


def list_paths(delete_button: Callable[[RunStatus], None] | None = None) -> None:
    """Draw every path asked so far, newest first, and a button that opens each."""
    runs = access.store().list("path")
    if not runs:
        return
    st.html("<h2>Paths</h2>")
    for status in runs if st.session_state.get(keys.SHOW_ALL_PATHS) else runs[:FIRST]:
        with st.container(border=True):
            shares = [6, 1] if delete_button is None else [6, 1, 1]
            words, open_it, *rest = st.columns(shares, vertical_alignment="center")
            found = loaded(status)
            facts = state_and_age(status, [path_headline(found.summary)] if found else [])
            words.html(
                f"<b>{escape(status.title)}</b><br>"
                f'<span class="bs-small bs-muted">{escape(" · ".join(facts))}</span>'
            )
            if open_it.button("Open", key=keys.OPEN + status.run_id, width="stretch"):
                st.switch_page(PATHS, query_params={keys.RUN: status.run_id})
            if delete_button is not None:
                with rest[0]:
                    delete_button(status)
    if len(runs) > FIRST:
        st.toggle(f"Show all {len(runs)} paths", key=keys.SHOW_ALL_PATHS)
