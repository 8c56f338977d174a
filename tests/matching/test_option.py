"""Options of methods: which values are taken, and the messages about the others."""

from __future__ import annotations

import re

import pytest

from engine.errors import MatchingError
from engine.matching import METHODS, Needs, Option
from engine.matching.methods import Counts, Method

METHOD = Method(
    "made",
    "made-up matching",
    Needs.NOTHING,
    "none",
    Counts.STEPS,
    (
        Option("steps", "steps", 3, least=1),
        Option("share", "share", 0.5, above=0, most=1),
        Option("rate", "rate", 1.0),
        Option("goal", "goal", "near", choices=("near", "far"), asks={"far": Needs.INPUTS}),
    ),
)


def test_settings_are_the_given_values_and_the_defaults():
    assert METHOD.settings({}) == {"steps": 3, "share": 0.5, "rate": 1.0, "goal": "near"}
    found = METHOD.settings({"share": 1, "goal": "far"})
    assert found == {"steps": 3, "share": 1.0, "rate": 1.0, "goal": "far"}
    assert isinstance(found["share"], float)


def test_a_choice_may_ask_for_data():
    assert METHOD.needs_with({}) is Needs.NOTHING
    assert METHOD.needs_with({"goal": "far"}) is Needs.INPUTS


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"steps": 0}, "steps must be at least 1, not 0"),
        ({"steps": 2.5}, "steps must be a whole number, not 2.5"),
        ({"steps": True}, "steps must be a whole number, not True"),
        ({"share": "much"}, "share must be a number, not 'much'"),
        ({"share": float("nan")}, "share must be above 0 and at most 1, not nan"),
        ({"rate": float("inf")}, "rate must be finite, not inf"),
        ({"rate": -(10**400)}, f"rate must be finite, not -1{'0' * 400}"),
        ({"share": 0}, "share must be above 0 and at most 1, not 0"),
        ({"share": 1.5}, "share must be above 0 and at most 1, not 1.5"),
        ({"goal": "up"}, "goal is one of near, far, not 'up'"),
        (
            {"speed": 1},
            "made-up matching has no option speed; its options are steps, share, rate, goal",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(given, message):
    with pytest.raises(MatchingError, match=f"^{re.escape(message)}$"):
        METHOD.settings(given)


def test_a_method_without_options_says_so():
    plain = Method("plain", "plain matching", Needs.NOTHING, "none", Counts.SWEEPS)
    with pytest.raises(MatchingError, match="plain matching has no option steps; it has none"):
        plain.settings({"steps": 1})


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_every_default_makes_sense(method):
    for option in method.options:
        assert option.checked(option.default) == option.default
