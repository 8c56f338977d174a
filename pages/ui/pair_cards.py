"""The two networks' cards in the sidebar, and the wait until their files are read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from engine.errors import BasinscopeError
from engine.figures.numbers import count, is_number
from engine.figures.task import words
from engine.runs import CheckpointInfo
from pages.ui import engine_access as access
from pages.ui import keys
from pages.ui.cards import model_card
from pages.ui.literal import literal
from pages.ui.pair import LETTERS, Pair, Side

POLL = 0.7  # seconds


def show_pair(pair: Pair, summary: Mapping[str, Any] | None) -> None:
    """Write both cards; a shown result adds the losses of the networks that it is about."""
    for side, network in pair.sides.items():
        if network.problem:
            named = network.problem.startswith(network.name)
            name = "" if named or not network.name else f"{network.name}: "
            st.error(f"**{LETTERS[side]}** {literal(name + network.problem)}")
        elif network.info is not None:
            model_card(side, network.info.name, _lines(side, network, pair, summary or {}))
            inspect_button(side, network.info)
            if not recognition(network) and not pair.fits and not pair.problem:
                unknown(side, network.info)
        elif network.waiting is None:
            model_card(side, "not chosen yet", ())
    if pair.awaited:
        wait_for(pair.awaited)
    if pair.problem:
        st.error(literal(pair.problem))


def unknown(side: str, info: CheckpointInfo) -> None:
    """Say why a stored network's architecture is not known, and what makes it known."""
    other = LETTERS["b" if side == "a" else "a"]
    why = str(info.description.get("problem") or "Its architecture is not known.")
    st.warning(
        f"**{LETTERS[side]}** {literal(why)}\n\nOr choose the .pt2 that it belongs to as "
        f"{other}: these weights then take its graph."
    )


def inspect_button(side: str, info: CheckpointInfo) -> None:
    """A small button that opens a network on the page Inspect."""
    label = f"Inspect {LETTERS[side]}"
    if st.button(label, key=keys.INSPECT[side], type="tertiary", icon=":material/account_tree:"):
        try:
            run_id = access.inspect_run(info)
        except BasinscopeError as error:
            st.error(literal(error))
        else:
            st.switch_page("pages/inspect.py", query_params={keys.RUN: run_id})


def recognition(side: Side) -> Mapping[str, Any]:
    """Return what a stored network was recognised as."""
    return {} if side.info is None else side.info.description.get("recognition") or {}


def architecture(pair: Pair) -> Mapping[str, Any]:
    """Return what both networks are: as their pair was recognised, else as A was."""
    return pair.model or recognition(pair.a)


def _lines(side: str, network: Side, pair: Pair, summary: Mapping[str, Any]) -> list[str]:
    """Return what is known of a network, a line each."""
    known = recognition(network)
    assert network.info is not None
    lines = []
    if not known and pair.fits:
        lines.append(
            f"as {pair.sides['b' if side == 'a' else 'a'].name} says: {pair.model['title']}"
        )
    if known and (side == "a" or known["title"] != recognition(pair.a).get("title")):
        lines.append(f"{known['title']}, {count(known['parameters'])} parameters")
    lines += list(network.info.notes)
    if side == "b" and pair.fits:
        tensors = network.info.description.get("tensor_count")
        lines.append(f"the pair fits: {tensors} tensors, same shapes" if tensors else "it fits A")
    if (summary.get(side) or {}).get("sha256") == network.info.sha256:
        own = ((summary.get("ends") or {}).get(side) or {}).get("test") or {}
        if is_number(own.get("loss")):
            told = words(summary)
            rest = [f"{title} {text}" for title, text in told.point(own).items()]
            lines.append(", ".join([f"test loss {told.loss(own['loss'])}", *rest]))
    return lines


@st.fragment(run_every=POLL)
def wait_for(runs: tuple[str, ...]) -> None:
    """Say what is being read, and redraw the page when it is."""
    try:
        statuses = [access.store().status(run) for run in runs]
    except BasinscopeError:  # deleted meanwhile: the card says so
        st.rerun()
    if all(status.ended for status in statuses):
        st.rerun()
    for status in statuses:
        if not status.ended:
            stage = status.stage or ("waiting for a worker" if status.ahead == 0 else "in line")
            st.progress(
                min(max(status.fraction, 0.0), 1.0), text=f"{literal(status.title)}: {stage}…"
            )
