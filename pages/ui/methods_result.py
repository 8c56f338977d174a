"""A finished comparison of methods: one sentence, one plot, one table, and every permutation."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import streamlit as st

from engine.errors import BasinscopeError
from engine.figures.methods import methods_figure
from engine.figures.methods_tables import (
    definition_rows,
    ensemble_sentence,
    methods_headline,
    methods_rows,
    sorted_rows,
)
from engine.figures.numbers import count, is_number, power_of_ten
from engine.figures.task import words
from engine.runs import Result
from pages.ui import engine_access as access
from pages.ui import keys
from pages.ui.cards import html_table
from pages.ui.literal import literal
from pages.ui.look import chart, theme

PLAIN = "plain"
EXPLAINED = (
    "Click a method in the legend to hide or show it. Every point of a repaired line is repaired "
    "by itself, its ends included; methods and repairs see training samples only."
)


def show_methods(run_id: str, found: Result) -> None:
    """Draw a comparison of methods."""
    summary = found.summary
    st.html(
        f'<p class="bs-proof"><b>{escape(methods_headline(summary))}.</b> '
        f"{escape(_proof(summary))}</p>"
    )
    look = _controls(summary)
    figure = methods_figure(found.arrays, summary, theme=theme(), **look)
    chart(figure, f"methods_{run_id}", f"{look['quantity']} on the line of every method")
    st.caption(f"{literal(ensemble_sentence(summary, look['split']))} {EXPLAINED}")
    html_table(methods_rows(summary, found.provenance, look["split"]))
    for key, why in (summary["repairs"]["impossible"] or {}).items():
        st.caption(f"{literal(key)}: {literal(why)}")
    with st.expander("The barrier by every definition; what each method says of itself"):
        html_table(definition_rows(summary))
        _details(summary)
    with st.expander("Download"):
        _downloads(run_id, summary)


def _controls(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Draw the switches; return the figure's arguments."""
    score = words(summary).task.score
    variants = {v["id"]: v["title"] for v in summary["repairs"]["variants"]}
    with st.container(horizontal=True, vertical_alignment="center"):
        quantity = _switch(["loss", "accuracy"] if score else ["loss"], keys.METHODS_QUANTITY)
        split = _switch(["test", "train"], keys.METHODS_SPLIT)
        scale = _switch(["log", "linear"], keys.METHODS_SCALE)
        shown = None
        if len(variants) > 1:
            shown = st.pills(
                "Repairs shown",
                list(variants),
                format_func=variants.__getitem__,
                selection_mode="multi",
                default=[PLAIN, _best(summary)],
                key=f"{keys.METHODS_REPAIRS}_{'_'.join(variants)}",
                label_visibility="collapsed",
            )
    return {
        "quantity": quantity,
        "split": split,
        "log": scale == "log",
        "shown": shown or list(variants),
    }


def _switch(choices: list[str], key: str) -> str:
    return st.segmented_control(
        key,
        choices,
        default=choices[0],
        required=True,
        key=key,
        label_visibility="collapsed",
    )


def _best(summary: Mapping[str, Any]) -> str:
    """Return the set of repairs with the lowest barrier, other than none."""
    repaired = [row["variant"] for row in sorted_rows(summary) if row["repairs"]]
    return repaired[0] if repaired else PLAIN


def _proof(summary: Mapping[str, Any]) -> str:
    """Return how far every π(B) is from B."""
    measured = [m["equivalence"] for m in summary["methods"] if m["equivalence"]]
    if not measured or not (summary.get("proof") or {}).get("passed"):
        return ""
    differences = [found["max_abs_logit_difference"] for found in measured]
    if not all(is_number(value) for value in differences):
        return "A π(B) has outputs that are not finite."
    output, samples = words(summary).output, count(measured[0]["samples"])
    largest = power_of_ten(max(differences))
    return f"✓ Every π(B) is B: no {output} on {samples} samples differs by more than {largest}."


def _details(summary: Mapping[str, Any]) -> None:
    """List how each method ran and stopped."""
    lines = []
    for method in summary["methods"]:
        matching = method["matching"]
        if matching is None:
            continue
        moved = f"{count(matching['moved_units'])} of {count(matching['total_units'])} units moved"
        told = {
            name.replace("_", " "): f"{value:.4g}" if isinstance(value, float) else value
            for name, value in method["details"].items()
            if isinstance(value, int | float | str)
        }
        more = "".join(f", {name} {value}" for name, value in told.items())
        lines.append(
            f"- **{literal(method['title'])}**: {moved}. {matching['stop_sentence']}"
            f" {literal(more.lstrip(', '))}"
        )
    st.markdown("\n".join(lines))


def _downloads(run_id: str, summary: Mapping[str, Any]) -> None:
    """Offer every permutation and the numbers; files are read when a button is pressed."""
    st.caption("Unit i of π(B) is unit π[i] of B: `symmetry.apply(Permutation.load(file), b)`.")
    files = {"result.npz": "All numbers (result.npz)"}
    for method in summary["methods"]:
        if method["matching"] is not None:
            files[f"permutation-{method['id']}.safetensors"] = f"π of {method['title']}"
    with st.container(horizontal=True):
        for name, title in files.items():
            try:
                path, why = access.store().file(run_id, name), None
            except BasinscopeError as error:
                path, why = None, str(error)
            st.download_button(
                title,
                data=path.read_bytes if path is not None else bytes,
                file_name=name,
                key=f"download_{run_id}_{name}",
                on_click="ignore",
                disabled=path is None,
                help=literal(why) if why else None,
            )
