"""Which plane the address names, and the earlier ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from html import escape

import streamlit as st

from engine.errors import BasinscopeError
from engine.figures.planes import planes_headline
from engine.runs import CompareSpec, PlaneSpec, Result, RunStatus
from pages.ui import engine_access as access
from pages.ui import keys
from pages.ui.inspect_shown import EXPLORE
from pages.ui.run_words import loaded, state_and_age

PLANES = "pages/planes.py"
FIRST = 5


@dataclass(frozen=True)
class ShownPlane:
    """A plane as far as it can be shown; `page` is where else the run belongs."""

    run_id: str | None = None
    status: RunStatus | None = None
    spec: PlaneSpec | None = None
    result: Result | None = None
    problem: str | None = None
    page: str | None = None


def shown_plane() -> ShownPlane:
    """Return the plane to show; never raises, a wrong link is a problem with a sentence."""
    run_id = st.query_params.get(keys.RUN)
    if run_id is None:
        return ShownPlane()
    try:
        spec = access.store().spec(run_id)
        if isinstance(spec, CompareSpec):
            problem = "This link is to a comparison of two networks, which Explore shows."
            return ShownPlane(run_id, problem=problem, page=EXPLORE)
        if not isinstance(spec, PlaneSpec):
            return ShownPlane(run_id, problem=f"The run {run_id} is no plane of this page's.")
        status = access.store().status(run_id)
        result = access.result(status) if status.state == "done" else None
    except BasinscopeError as error:
        return ShownPlane(run_id, problem=str(error))
    return ShownPlane(run_id, status, spec, result)


def as_comparison(spec: PlaneSpec | None) -> CompareSpec | None:
    """Return what both ask as the comparison that the sidebar is filled from."""
    if spec is None:
        return None
    return CompareSpec(
        a=spec.models[0],
        b=spec.models[-1],
        data=spec.data,
        seed=spec.seed,
        reset=spec.reset,
        reset_samples=spec.reset_samples,
    )


def list_planes(delete_button: Callable[[RunStatus], None] | None = None) -> None:
    """Draw every plane asked so far, newest first, and a button that opens each."""
    runs = access.store().list("plane")
    if not runs:
        return
    st.html("<h2>Planes</h2>")
    for status in runs if st.session_state.get(keys.SHOW_ALL_PLANES) else runs[:FIRST]:
        with st.container(border=True):
            shares = [6, 1] if delete_button is None else [6, 1, 1]
            words, open_it, *rest = st.columns(shares, vertical_alignment="center")
            found = loaded(status)
            facts = state_and_age(status, [planes_headline(found.summary)] if found else [])
            words.html(
                f"<b>{escape(status.title)}</b><br>"
                f'<span class="bs-small bs-muted">{escape(" · ".join(facts))}</span>'
            )
            if open_it.button("Open", key=keys.OPEN + status.run_id, width="stretch"):
                st.switch_page(PLANES, query_params={keys.RUN: status.run_id})
            if delete_button is not None:
                with rest[0]:
                    delete_button(status)
    if len(runs) > FIRST:
        st.toggle(f"Show all {len(runs)} planes", key=keys.SHOW_ALL_PLANES)
