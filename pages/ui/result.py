"""A finished run: headline, proof, four numbers, and the tabs with everything else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from engine.figures import (
    barrier_rows,
    curves_figure,
    definitions,
    layer_rows,
    layers_figure,
    matching_figure,
    model_rows,
)
from engine.figures.numbers import count, percent, plain
from engine.figures.task import words
from engine.runs import Result
from pages.ui import keys
from pages.ui.cards import html_headline, html_table, metric_cards
from pages.ui.downloads import show_downloads
from pages.ui.literal import literal
from pages.ui.look import chart, theme
from pages.ui.methods_section import methods_section
from pages.ui.plane_tab import plane_tab


def show_result(run_id: str, found: Result) -> None:
    """Draw a finished run; only the open tab is drawn."""
    summary = found.summary
    html_headline(summary, found.provenance)
    metric_cards(summary)
    drawers: dict[str, Callable[[], None]] = {
        "Plane": lambda: plane_tab(run_id, found),
        "Curves": lambda: _curves_tab(found),
        "Layers": lambda: _layers_tab(summary),
        "Matching": lambda: _matching_tab(summary),
        "Definitions": lambda: _definitions_tab(summary),
        "Download": lambda: show_downloads(run_id, found),
    }
    tabs = st.tabs(list(drawers), key=keys.TAB, on_change="rerun", bind="query-params")
    for tab, draw in zip(tabs, drawers.values(), strict=True):
        if tab.open:
            with tab:
                draw()
    methods_section(run_id, found)


def _curves_tab(found: Result) -> None:
    """The curves at full width, of the loss or of the share of right answers."""
    score = words(found.summary).task.score
    quantity = st.segmented_control(
        "Quantity",
        ["loss", "accuracy"] if score else ["loss"],
        format_func=lambda name: score or name if name == "accuracy" else name,
        default="loss",
        required=True,
        key=keys.QUANTITY,
        bind="query-params",
        label_visibility="collapsed",
    )
    figure = curves_figure(
        found.arrays, found.summary, theme=theme(), quantity=quantity or "loss", height=680
    )
    chart(figure, "curves", f"{quantity} along the three edges")
    st.caption(
        "λ runs from the first network to the second in "
        f"{count(len(found.arrays['lambdas']))} points. Test solid with a band of one standard "
        "error, train dashed."
    )
    html_table(model_rows(found.summary))


def _layers_tab(summary: Mapping[str, Any]) -> None:
    """How far each layer was permuted, and how alike the two are before and after."""
    distance = summary.get("distance") or {}
    if distance:
        st.markdown(
            f"All parameters together: cosine of A and B **{plain(distance['cosine_a_b'])}** → "
            f"**{plain(distance['cosine_a_pi_b'])}** after permuting, distance "
            f"**{distance['a_b']:.1f}** → **{distance['a_pi_b']:.1f}**."
        )
    chart(layers_figure(summary, theme=theme()), "layers", "cosine before and after, by layer")
    rows = layer_rows(summary)
    columns: dict[str, Any] = {
        name: st.column_config.NumberColumn(format="%.3f")
        for name in (rows[0] if rows else ())
        if name.startswith(("cosine", "distance"))
    }
    columns["moved"] = st.column_config.ProgressColumn(format="percent", max_value=1.0)
    st.dataframe(
        rows,
        hide_index=True,
        column_config=columns,
        alt="Every parameter: how far permuted, cosine and distance before and after",
    )
    st.caption("moved: the share of a layer's permutable units that changed place.")


def _matching_tab(summary: Mapping[str, Any]) -> None:
    """How the permutation was found, and the symmetry that it is taken from."""
    matching, symmetry = summary.get("matching") or {}, summary.get("symmetry") or {}
    if matching:
        starts = len(matching["restarts"])
        sweeps = "1 sweep" if matching["sweeps"] == 1 else f"{count(matching['sweeps'])} sweeps"
        st.markdown(
            f"Weight matching, {sweeps}, seed {matching['seed']}, "
            f"{'one start' if starts == 1 else f'{starts} starts'}. {matching['stop_sentence']} "
            f"It moved **{count(matching['moved_units'])}** of {count(matching['total_units'])} "
            "units."
        )
        chart(matching_figure(summary, theme=theme()), "matching", "objective after each sweep")
    groups = symmetry.get("groups") or ()
    if groups:
        share = symmetry["moved_parameters"] / max(symmetry["total_parameters"], 1)
        st.markdown(
            f"**{count(len(groups))} permutation groups** move {percent(share)}\u202f% of the "
            "parameters:"
        )
        rows = [
            {"group": g["name"], "units": count(g["size"]), "carried by": ", ".join(g["layers"])}
            for g in groups
        ]
        html_table(rows)
    for title, key in (("What stays fixed", "fixed"), ("Ops without a rule", "ops_without_rule")):
        if symmetry.get(key):
            with st.expander(title):
                st.markdown("\n".join(f"- {literal(sentence)}" for sentence in symmetry[key]))


def _definitions_tab(summary: Mapping[str, Any]) -> None:
    """The barrier by every definition, and what each means."""
    html_table(barrier_rows(summary))
    st.markdown(
        "\n".join(
            f"- **{d.title}** `{d.formula}` {d.words} [{d.source}]({d.link})"
            for d in definitions(summary)
        )
    )
    if statement := (summary.get("task") or {}).get("statement"):
        st.caption(literal(statement))
    reset = summary.get("batch_norm") or {}
    if reset.get("layers"):
        how = (
            f"recomputed at each point, ends included, on {count(reset['reset_samples'])} "
            "training samples; the losses on the cards of A and B are with their own statistics"
            if reset.get("reset")
            else "interpolated like every other number"
        )
        st.caption(f"BatchNorm statistics: {how}.")
    model = summary.get("model") or {}
    sentences = [*(model.get("evidence") or ()), *(model.get("assumptions") or ())]
    if sentences:
        with st.expander(f"Recognised as {literal(model.get('title'))}"):
            st.markdown("\n".join(f"- {literal(sentence)}" for sentence in sentences))
