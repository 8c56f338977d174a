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
    plane_figure,
    plane_preview,
    suggested_cap,
    surface_figure,
)
from engine.figures.html_parts import SLICE_NOTE
from engine.figures.numbers import count, percent, plain, power_of_ten
from engine.figures.task import words
from engine.runs import Result
from pages.ui import keys
from pages.ui.cards import html_headline, html_table, metric_cards
from pages.ui.downloads import show_downloads
from pages.ui.literal import literal
from pages.ui.look import chart, square_chart, theme
from pages.ui.methods_section import methods_section

CAP_CHOICES = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
PLANE_ALT = "Contours of the loss on the plane through A, B and π(B)"


def show_result(run_id: str, found: Result) -> None:
    """Draw a finished run; only the open tab is drawn."""
    summary = found.summary
    html_headline(summary, found.provenance)
    metric_cards(summary)
    drawers: dict[str, Callable[[], None]] = {
        "Plane": lambda: _plane_tab(found),
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


def plane_controls(found: Result) -> dict[str, Any]:
    """Draw the plane's controls; return the figure's arguments and whether it is 3D."""
    with st.container(horizontal=True, vertical_alignment="center"):
        view = st.segmented_control(
            "View",
            ["2D", "3D"],
            default="2D",
            required=True,
            key=keys.VIEW,
            bind="query-params",
            label_visibility="collapsed",
        )
        scale = st.segmented_control(
            "Colour scale",
            ["log", "linear"],
            default="log",
            required=True,
            key=keys.SCALE,
            bind="query-params",
            label_visibility="collapsed",
        )
        split = (found.summary.get("plane") or {}).get("split", "test")
        loss = found.arrays.get(f"plane_{split}_loss")
        usual = suggested_cap(loss) if loss is not None else 1.0
        cap = st.selectbox(
            "Cap",
            ["auto", *[f"{value:g}" for value in CAP_CHOICES]],
            format_func=lambda text: f"cap {usual:g} (auto)" if text == "auto" else f"cap {text}",
            key=keys.CAP,
            bind="query-params",
            label_visibility="collapsed",
            width=150,
            help="Losses over the cap share the last colour.",
        )
    chosen = None if cap in (None, "auto") else float(cap)
    return {"view": view, "log": scale != "linear", "cap": chosen}


def draw_plane(found: Result, options: Mapping[str, Any], key: str) -> None:
    """Draw the plane flat or as a surface."""
    look = {"theme": theme(), "log": options["log"], "cap": options["cap"]}
    if options["view"] == "3D":
        square_chart(
            lambda: surface_figure(found.arrays, found.summary, **look), f"{key}_3d", PLANE_ALT
        )
    else:
        square_chart(
            lambda: plane_figure(found.arrays, found.summary, **look),
            f"{key}_2d",
            PLANE_ALT,
            preview=plane_preview(found.arrays, found.summary, **look),
        )


def _plane_tab(found: Result) -> None:
    """The plane beside the three small curves."""
    options = plane_controls(found)
    left, right = st.columns([1.62, 1], gap="medium")
    with left:
        draw_plane(found, options, "plane")
    with right:
        figure = curves_figure(found.arrays, found.summary, theme=theme(), height=560)
        chart(figure, "edges", "Loss along the three edges")
    st.caption(f"{SLICE_NOTE} {_checks(found.summary)}")


def _checks(summary: Mapping[str, Any]) -> str:
    """Return the plane's own checks in words."""
    plane = summary.get("plane") or {}
    if plane.get("degenerate"):
        return plane["degenerate"]
    if plane.get("orthonormality") is None:
        return ""
    basis = power_of_ten(plane["orthonormality"])
    corner = plane.get("corner_difference")
    corners = (
        "corners equal their models exactly"
        if corner == 0
        else f"corners equal their models to {power_of_ten(corner)}"
    )
    rule = (summary.get("basins") or {}).get("threshold_rule") or ""
    outline = f" Basins: {rule}" if rule else ""
    return f"Plane checks: basis orthonormal to {basis}, {corners}.{outline}"


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
