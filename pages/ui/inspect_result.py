"""What is known of one network: headline, proof, numbers, and the parts in tabs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from html import escape
from typing import Any

import streamlit as st

from engine.figures.groups import axes_of_groups, groups_html, highlight_rules
from engine.figures.inspect_words import (
    fixed_html,
    graph_sentences,
    inspect_headline,
    inspect_metrics,
    proof_words,
    subject_line,
)
from engine.figures.network_fold import FOLDED_FROM
from engine.figures.network_map import network_html
from engine.figures.tree import tensor_tree, tree_html
from pages.ui import keys
from pages.ui.inspect_test import self_test_part
from pages.ui.literal import literal

Summary = Mapping[str, Any]
MAP_NOTE = (
    "Each box is a layer. Its left end shows the groups on the axis by which data comes in, its "
    "right end those by which it goes out; ends with the same number share one permutation. "
    "Hatched ends are fixed. Point at a number to see where else it is."
)


def show_inspection(summary: Summary, provenance: Mapping[str, Any]) -> None:
    """Draw all that is known; parts that are not known yet are left out."""
    seconds = (provenance.get("seconds") or {}).get("proof")
    lead, sentence = proof_words(summary, seconds)
    proof = summary.get("proof")
    tone = "bs-muted" if proof is None else "bs-good" if proof["passed"] else "bs-bad"
    st.html(
        f'<h1 class="bs-headline">{escape(inspect_headline(summary))}</h1>'
        f'<p class="bs-proof"><b class="{tone}">{escape(lead)}</b> {escape(sentence)}</p>'
        f'<p class="bs-muted bs-subject">{escape(subject_line(summary))}</p>'
    )
    if summary.get("problem"):
        st.warning(literal(summary["problem"]))
    metrics(summary)
    if summary.get("model") is None and summary.get("problem"):
        tensors_part(summary)  # without tabs: the one that is open elsewhere may not be here
        return
    drawers: dict[str, Callable[[], None]] = {
        "Network": lambda: network_part(summary),
        "Tensors": lambda: tensors_part(summary),
        "What is fixed": lambda: fixed_part(summary),
        "Self-test": lambda: self_test_part(summary),
    }
    tabs = st.tabs(list(drawers), key=keys.PART, on_change="rerun", bind="query-params")
    for tab, (title, draw) in zip(tabs, drawers.items(), strict=True):
        if tab.open:
            with tab:
                if title == "Tensors" or summary.get("symmetry") is not None:
                    draw()
                else:
                    st.caption("The groups are derived from the network's graph in a moment.")


def metrics(summary: Summary) -> None:
    """Write the numbers that matter, large."""
    items = "".join(
        f'<div class="bs-metric"><div class="bs-label">{escape(label)}</div>'
        f'<span class="bs-value">{escape(value)}</span> '
        f'<span class="bs-note bs-muted">{escape(note)}</span></div>'
        for label, value, note in inspect_metrics(summary)
    )
    if items:
        st.html(f'<div class="bs-metrics">{items}</div>')


def network_part(summary: Summary) -> None:
    """The drawing beside the map of groups."""
    groups, graph = summary["symmetry"]["groups"], summary["graph"]
    left, right = st.columns([1.15, 1], gap="medium")
    with left:
        folded = True
        if len(graph) > FOLDED_FROM:
            folded = st.toggle("Draw equal blocks once", value=True, key=keys.FOLDED)
        st.html(network_html(graph, groups, folded=folded))
        st.caption(MAP_NOTE)
    with right:
        if groups:
            st.html(groups_html(groups))
        else:
            st.info("No group: every axis of this network is fixed.")
    rules = highlight_rules(group["number"] for group in groups)
    if rules:
        st.html(rules)


def tensors_part(summary: Summary) -> None:
    """The tree of tensors, with a search."""
    query = st.text_input(
        "Search", key=keys.SEARCH, placeholder="part of a name", label_visibility="collapsed"
    )
    tree = tensor_tree(summary["tensors"], query or "")
    st.html(tree_html(tree, axes_of_groups(summary.get("symmetry")), open_all=bool(query)))
    notes = (summary.get("checkpoint") or {}).get("notes") or ()
    if notes:
        st.caption(literal(" ".join(notes)))


def fixed_part(summary: Summary) -> None:
    """Why it was recognised as it was, what stays fixed, and the whole answer as a file."""
    model, symmetry = summary.get("model") or {}, summary["symmetry"]
    left, right = st.columns(2, gap="large")
    with left:
        st.html("<b>What stays in its place, and why</b>")
        st.html(fixed_html(symmetry))
        without = symmetry["ops_without_rule"]
        if without:
            st.warning(
                "These ops have no rule, so that every axis they touch is fixed: "
                + literal(", ".join(without))
            )
    with right:
        st.html(f"<b>Recognised as {escape(str(model.get('title')))}</b>")
        sentences = [*(model.get("evidence") or ()), *(model.get("assumptions") or ())]
        if summary.get("facts"):  # inspections of before have none
            sentences += graph_sentences(summary["facts"])
        st.html(f"<ul>{''.join(f'<li>{escape(sentence)}</li>' for sentence in sentences)}</ul>")
        st.download_button(
            "Everything as JSON",
            data=lambda: json.dumps(summary, indent=1, ensure_ascii=False),
            file_name="inspect.json",
            mime="application/json",
        )
