"""A page's question: asked of the store, and the page led to its answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import streamlit as st

from engine.errors import BasinscopeError
from engine.runs import Spec
from pages.ui import engine_access as access
from pages.ui import keys
from pages.ui.literal import literal


class Here(Protocol):
    """What a page shows."""

    @property
    def run_id(self) -> str | None: ...
    @property
    def result(self) -> Any: ...


def ask(
    spec: Spec,
    title: str,
    here: Here,
    seen: str | None = None,
    mark: Callable[[str], str] = str,
) -> None:
    """Ask the run and go to its address, unless its answer is on the page already.

    Args:
        spec: of the run.
        title: of the run, for lists.
        here: what the page shows.
        seen: the session key that holds which run the page's choices were filled from; None
            fills them again from the new run.
        mark: what the shared settings are marked with for a run of the page.
    """
    try:
        run_id = access.submit(spec, title)
    except BasinscopeError as error:
        st.error(literal(error))
        return
    if run_id == here.run_id and here.result is not None:
        st.toast("The store has the answer to this very question: it is the one shown.")
        return
    if seen is not None:
        st.session_state[seen] = run_id
        st.session_state[keys.FILLED_FROM] = mark(run_id)
    st.query_params[keys.RUN] = run_id
    st.rerun()
