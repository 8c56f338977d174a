"""Which inspection the address names, and what to say where it names something else."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from engine.errors import BasinscopeError
from engine.runs import CompareSpec, InspectSpec, Result, RunStatus, SelfTestSpec
from pages.ui import engine_access as access
from pages.ui import keys
from pages.ui.literal import literal

EXPLORE, INSPECT = "pages/explore.py", "pages/inspect.py"


@dataclass(frozen=True)
class ShownInspection:
    """An inspection as far as it can be shown; `page` is where else the run belongs."""

    run_id: str | None = None
    status: RunStatus | None = None
    sha256: str | None = None
    result: Result | None = None
    problem: str | None = None
    page: str | None = None


def shown_inspection() -> ShownInspection:
    """Return the inspection to show; never raises. A self-test's link opens its network."""
    run_id = st.query_params.get(keys.RUN)
    if run_id is None:
        return ShownInspection()
    try:
        spec = access.store().spec(run_id)
        if isinstance(spec, SelfTestSpec):
            st.session_state[keys.TEST_SEED] = spec.seed
            spec = InspectSpec(checkpoint=spec.checkpoint)
            run_id = access.submit(spec, access.store().shelf.checkpoint(spec.checkpoint).name)
            st.query_params[keys.RUN] = run_id
        if isinstance(spec, CompareSpec):
            problem = "This link is to a comparison of two networks, which Explore shows."
            return ShownInspection(run_id, problem=problem, page=EXPLORE)
        if not isinstance(spec, InspectSpec):
            return ShownInspection(run_id, problem=f"The run {run_id} is no inspection.")
        status = access.store().status(run_id)
        result = access.result(status) if status.state == "done" else None
    except BasinscopeError as error:
        return ShownInspection(run_id, problem=str(error))
    return ShownInspection(run_id, status, spec.checkpoint, result)


def show_elsewhere(run_id: str | None, problem: str, page: str | None, back: str) -> None:
    """Say why a link's run is not shown here; open it where it belongs, or go back."""
    if page is None:
        st.error(literal(problem))
        if st.button(back, key=keys.BACK):
            st.query_params.clear()
            st.rerun()
        return
    st.info(literal(problem))
    if st.button("Open it there", key=keys.ELSEWHERE, type="primary"):
        st.switch_page(page, query_params={keys.RUN: run_id or ""})
