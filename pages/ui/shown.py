"""Which run Explore shows: the one in the address, else the built-in one."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from engine.errors import BasinscopeError
from engine.runs import CompareSpec, InspectSpec, Result, RunStatus, SelfTestSpec
from engine.runs.methods_spec import MethodsSpec
from pages.ui import engine_access as access
from pages.ui import keys
from pages.ui.methods_page import as_comparison


@dataclass(frozen=True)
class Shown:
    """A run as far as it can be shown; `problem` says why it cannot, `page` where it can.

    `methods` says that it is a comparison of methods; `spec` is then the comparison of its pair.
    """

    run_id: str | None = None
    status: RunStatus | None = None
    spec: CompareSpec | None = None
    result: Result | None = None
    problem: str | None = None
    page: str | None = None
    methods: bool = False


def shown_run() -> Shown:
    """Return the run to show; never raises, a wrong link is a problem with a sentence."""
    run_id = st.query_params.get(keys.RUN) or access.builtin_run()
    if run_id is None:
        return Shown()
    status, spec = None, None
    try:
        status = access.store().status(run_id)
        found = access.store().spec(run_id)
        if isinstance(found, InspectSpec | SelfTestSpec):
            problem = "This link is to an inspection of one network, which Inspect shows."
            return Shown(run_id, problem=problem, page="pages/inspect.py")
        if isinstance(found, MethodsSpec):
            return Shown(run_id, status, as_comparison(found), methods=True)
        if not isinstance(found, CompareSpec):
            return Shown(run_id, problem=f"The run {run_id} is no comparison: nothing to show.")
        spec = found
        result = access.result(status) if status.state == "done" else None
    except BasinscopeError as error:
        return Shown(run_id, status, spec, problem=str(error))
    return Shown(run_id, status, spec, result)
