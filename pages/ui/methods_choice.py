"""The choice of methods and repairs to try on the pair of a comparison; together they make a spec.

What is ticked at first is what the newest answer about this pair was asked with.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from engine.errors import BasinscopeError, SpecError
from engine.matching.methods import METHODS
from engine.matching.option import Option
from engine.repair.catalogue import REPAIRS
from engine.runs import CompareSpec, DataSpec
from engine.runs.methods_spec import MethodSpec, MethodsSpec
from pages.ui import keys
from pages.ui.literal import literal
from pages.ui.methods_words import method_line, method_obstacle, repair_obstacle

USUAL_METHODS = ("weight", "activation")
USUAL_REPAIRS = ("reset", "repair")
MOST_SAMPLES = 2000
OPTIONS_SHOWN = 2  # of each method; they stand in the order of importance


def fill(known: MethodsSpec | None, of: str) -> None:
    """Tick what `known` was asked with, once per comparison and answer; else what is usual."""
    state = st.session_state
    mark = (of, known.run_id if known else None)
    if state.get(keys.METHODS_FILLED) == mark and keys.METHODS_SAMPLES in state:
        return
    state[keys.METHODS_FILLED] = mark
    chosen: dict[str, Mapping[str, Any]] = {key: {} for key in USUAL_METHODS}
    if known is not None:
        chosen = {method.key: method.options for method in known.methods}
    for key, method in METHODS.items():
        state[keys.METHOD + key] = key in chosen
        settings = method.settings(chosen.get(key, {}))
        for option in method.options[:OPTIONS_SHOWN]:
            state[_option_key(key, option)] = settings[option.name]
    for key in REPAIRS:
        state[keys.REPAIR + key] = key in (known.repairs if known else USUAL_REPAIRS)
    samples = known.data.samples if known else None
    state[keys.METHODS_SAMPLES] = samples or MOST_SAMPLES


def choose(
    compared: CompareSpec, summary: Mapping[str, Any], provenance: Mapping[str, Any]
) -> tuple[MethodsSpec | None, str | None]:
    """Draw the tick boxes; return what they ask, or why nothing can be asked.

    Args:
        compared: the comparison whose pair, data and seed are meant.
        summary, provenance: its result's.
    """
    left, right = st.columns([1.5, 1], gap="large")
    nothing = method_obstacle(summary)
    with left:
        st.markdown("**Methods**")
        for key in METHODS:
            _method(key, provenance, nothing)
    with right:
        st.markdown("**Repairs**, made at every point of a line")
        for key in REPAIRS:
            _repair(key, repair_obstacle(key, summary))
        st.number_input(
            "Samples of each split",
            min_value=2,
            step=500,
            key=keys.METHODS_SAMPLES,
            help="Drawn at random. Methods and repairs see training samples only.",
        )
    if nothing:
        return None, nothing
    try:
        return _wanted(compared, summary), None
    except BasinscopeError as error:
        return None, str(error)


def _method(key: str, provenance: Mapping[str, Any], nothing: str | None) -> None:
    """Draw one method's tick box, its first options where ticked, and what it does."""
    method, ticked = METHODS[key], st.session_state[keys.METHOD + key]
    with st.container(gap=None):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.checkbox(
                _capital(method.title),
                key=keys.METHOD + key,
                disabled=nothing is not None,
                help=nothing,
                width="content",
            )
            if ticked and nothing is None and method.options:
                with st.popover("Options", type="tertiary"):
                    for option in method.options[:OPTIONS_SHOWN]:
                        _option(key, option)
        st.caption(method_line(key, provenance))


def _repair(key: str, why_not: str | None) -> None:
    """Draw one repair's tick box and what it does, or why it does nothing here."""
    if why_not is not None:
        st.session_state[keys.REPAIR + key] = False
    with st.container(gap=None):
        title = _capital(REPAIRS[key].title)
        st.checkbox(title, key=keys.REPAIR + key, disabled=why_not is not None, help=why_not)
        st.caption(why_not or REPAIRS[key].sentence)


def _capital(title: str) -> str:
    return f"{title[0].upper()}{title[1:]}"


def _option(key: str, option: Option) -> None:
    name = _capital(option.name.replace("_", " "))
    place = _option_key(key, option)
    st.session_state.setdefault(place, option.default)  # lost while the method was not ticked
    if option.choices:
        st.selectbox(name, option.choices, key=place, help=option.sentence, width=210)
        return
    whole = isinstance(option.default, int)
    st.number_input(
        name,
        min_value=_limit(option.least, whole),
        max_value=_limit(option.most, whole),
        key=place,
        help=option.sentence,
        format="%d" if whole else "%g",
        width=210,
    )


def _limit(value: float | None, whole: bool) -> int | float | None:
    """Return a limit in the type of its field, as Streamlit asks for."""
    return None if value is None else int(value) if whole else float(value)


def _wanted(compared: CompareSpec, summary: Mapping[str, Any]) -> MethodsSpec:
    """Return what is ticked.

    Raises:
        SpecError: nothing is, or an option makes no sense.
    """
    state = st.session_state
    ticked = {key: method for key, method in METHODS.items() if state[keys.METHOD + key]}
    if not ticked:
        raise SpecError("Tick at least one method.")
    methods = []
    for key, method in ticked.items():
        places = {o.name: _option_key(key, o) for o in method.options[:OPTIONS_SHOWN]}
        given = {name: state[place] for name, place in places.items() if place in state}
        methods.append(MethodSpec(key=key, options=given))
    repairs = tuple(
        key for key in REPAIRS if state[keys.REPAIR + key] and repair_obstacle(key, summary) is None
    )
    data = {**compared.data.model_dump(), "samples": int(state[keys.METHODS_SAMPLES])}
    return MethodsSpec(
        a=compared.a,
        b=compared.b,
        data=DataSpec(**data),
        seed=compared.seed,
        methods=tuple(methods),
        repairs=repairs,
        line_points=compared.line_points,
        overrides=compared.overrides,
    )


def _option_key(key: str, option: Option) -> str:
    return f"{keys.METHOD_OPTION}{key}_{option.name}"


def describe(spec: MethodsSpec) -> str:
    """Return what a spec tries, in a few words."""
    named = ", ".join(METHODS[method.key].title for method in spec.methods)
    repairs = ", ".join(REPAIRS[key].title for key in spec.repairs)
    return literal(f"{named}{f'; {repairs}' if repairs else ''}")
