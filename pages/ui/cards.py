"""Small pieces of HTML: headline, metric cards, the sidebar's cards. Every name is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import streamlit as st

from engine.figures import (
    Headline,
    headline,
    proof_lead,
    proof_sentence,
    removed_share,
)
from engine.figures.html import table
from engine.figures.numbers import copies, count, duration, is_number
from engine.figures.task import Words, words

MARKS = {"a": ("●", "A"), "b": ("■", "B")}
Summary = Mapping[str, Any]


def html_headline(summary: Summary, provenance: Mapping[str, Any]) -> None:
    """Write the headline and, under it, the proof that π(B) is B."""
    told: Headline = headline(summary)
    seconds = (provenance.get("seconds") or {}).get("match")
    took = f" Weight matching took {duration(seconds)}." if is_number(seconds) else ""
    st.html(f'<h1 class="bs-headline" title="{escape(told.detail)}">{escape(told.text)}</h1>')
    html_proof(summary, took)


def html_proof(summary: Summary, more: str = "") -> None:
    """Write what shows that π(B) is B, and `more` after it."""
    st.html(
        f'<p class="bs-proof"><b>{escape(proof_lead(summary))}</b> '
        f"{escape(proof_sentence(summary))}{escape(more)}</p>"
    )


def metric_cards(summary: Summary) -> None:
    """Write the four numbers: both barriers, how good the midpoint is, the basins."""
    told = words(summary)
    barriers, middles = summary.get("barriers") or {}, summary.get("midpoints") or {}
    naive = (barriers.get("naive") or {}).get("test") or {}
    rebased = (barriers.get("rebasin") or {}).get("test") or {}
    share = removed_share(summary)
    change = "" if share is None else f"{'−' if share >= 0 else '+'}{abs(100 * share):.0f}\u202f%"
    middle = [
        told.point((middles.get(name) or {}).get("test") or {}) for name in ("naive", "rebasin")
    ]
    score = next(iter(middle[0]))
    sign = "bs-good" if (share or 0) > 0 else "bs-bad"
    cards = (
        ("Barrier, A to B", told.loss(naive.get("git_rebasin")), _error(naive, told), "bs-bad"),
        (
            "Barrier, A to π(B)",
            told.loss(rebased.get("git_rebasin")),
            f"{_error(rebased, told)} {change}".strip(),
            sign,
        ),
        (f"Midpoint {score}", " → ".join(point[score] for point in middle), "", ""),
        ("Basins on this plane", *basin_words(summary), "bs-good"),
    )
    items = "".join(
        f'<div class="bs-metric"><div class="bs-label">{escape(label)}</div>'
        f'<span class="bs-value">{escape(value)}</span>'
        f'<span class="bs-note {style}">{escape(note)}</span></div>'
        for label, value, note, style in cards
    )
    st.html(f'<div class="bs-metrics">{items}</div>')


def basin_words(summary: Summary) -> tuple[str, str]:
    """Return how many basins the plane has, and which models share one."""
    basins = summary.get("basins") or {}
    of = basins.get("basin_of") or {}
    if not basins or basins.get("count") is None:
        return "–", "no plane" if not summary.get("plane") else "no threshold tells them apart"
    if not of.get("A") or not of.get("pi_b"):
        return str(basins["count"]), "not every model lies in one"
    if of["A"] == of.get("B") == of["pi_b"]:
        return str(basins["count"]), "A, B and π(B) joined"
    joined = of["A"] == of["pi_b"]
    return str(basins["count"]), "A and π(B) joined" if joined else "A and π(B) apart"


def model_card(side: str, name: str, lines: Sequence[str]) -> None:
    """Write one network's card into the sidebar: its mark, name and what is known of it."""
    mark, letter = MARKS[side]
    rest = "".join(f'<p class="bs-muted">{escape(line)}</p>' for line in lines if line)
    st.html(
        f'<div class="bs-card"><p><span class="bs-mark-{side}">{mark}</span> <b>{letter}</b> '
        f"{escape(name)}</p>{rest}</div>"
    )


def text_card(rows: Sequence[tuple[str, str]]) -> None:
    """Write a card of short lines, each with a word in bold before it (or none)."""
    lines = "".join(
        f"<p>{f'<b>{escape(word)}</b> ' if word else ''}{escape(text)}</p>" for word, text in rows
    )
    st.html(f'<div class="bs-card">{lines}</div>')


def symmetry_card(summary: Summary) -> None:
    """Say how many networks compute the same function as B."""
    symmetry = summary.get("symmetry") or {}
    groups = symmetry.get("groups") or ()
    if not groups:
        text_card([("", "No permutation of units leaves this network the same.")])
        return
    sizes = sorted({group["size"] for group in groups})
    units = str(sizes[0]) if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    word = "group" if len(groups) == 1 else "groups"
    total = copies(symmetry["log10_copies"])
    same = f"{total} networks compute the same function as B"
    text_card([("", f"{count(len(groups))} {word} of {units} units: {same}")])


def html_table(rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a small table of texts that scrolls sideways by itself on a phone."""
    st.html(f'<div class="bs-table">{table(rows)}</div>')


def _error(barrier: Mapping[str, Any], told: Words) -> str:
    error = barrier.get("git_rebasin_se")
    return f"±{told.loss(error)}" if is_number(error) else ""
