"""A comparison of methods opened by its own address: its networks, its progress or its result."""

from __future__ import annotations

from html import escape

import streamlit as st

from engine.errors import BasinscopeError
from engine.figures.numbers import count
from engine.runs import CompareSpec, RunStatus
from engine.runs.methods_spec import MethodsSpec
from pages.ui import engine_access as access
from pages.ui.literal import literal
from pages.ui.methods_progress import show_methods_ended, show_methods_progress
from pages.ui.methods_result import show_methods


def as_comparison(spec: MethodsSpec) -> CompareSpec:
    """Return the comparison of the same pair on the same data, for the sidebar's settings."""
    return CompareSpec(
        a=spec.a,
        b=spec.b,
        data=spec.data,
        seed=spec.seed,
        line_points=spec.line_points,
        overrides=spec.overrides,
    )


def show_methods_page(status: RunStatus) -> None:
    """Draw a methods run at full width."""
    title = status.title.removeprefix("Methods: ")
    st.html(f'<h1 class="bs-headline">{escape(f"Methods for {title}")}</h1>')
    if not status.ended:
        show_methods_progress(status.run_id)
        return
    if status.state != "done":
        show_methods_ended(status)
        return
    try:
        found = access.result(status)
    except BasinscopeError as error:
        st.error(literal(error))
        return
    data, model = found.summary["data"], found.summary["model"]
    st.caption(
        f"{literal(model['title'])}, {count(model['parameters'])} parameters; "
        f"{literal(data['title'])}, {count(data['test']['samples'])} test and "
        f"{count(data['train']['samples'])} training samples."
    )
    show_methods(status.run_id, found)
