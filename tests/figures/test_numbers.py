"""Numbers as texts."""

from __future__ import annotations

import math

import pytest

from engine.figures import numbers


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.842, 3, ".842"),
        (0.0, 2, ".00"),
        (1.4444, 2, "1.44"),
        (-0.003, 3, "−.003"),
        (-0.0001, 3, ".000"),
        (12345.0, 2, "1·10⁴"),
        (None, 3, "not a number"),
        (math.nan, 3, "not a number"),
        (math.inf, 3, "not a number"),
    ],
)
def test_plain(value, digits, text):
    assert numbers.plain(value, digits) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(8.1e-6, "8·10⁻⁶"), (9.96e-6, "1·10⁻⁵"), (0.0, "0"), (None, "not a number")],
)
def test_power_of_ten(value, text):
    assert numbers.power_of_ten(value) == text


def test_counts_and_copies():
    assert numbers.count(932362) == "932\u202f362"
    assert numbers.copies(3499.9) == "10³⁴⁹⁹"
    assert numbers.copies(math.log10(6)) == "6"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.93, "0.9 s"), (42.4, "42 s"), (185, "3 min 5 s"), (120, "2 min"), (7800, "2 h 10 min")],
)
def test_duration(seconds, text):
    assert numbers.duration(seconds) == text
    assert numbers.duration(None) == "unknown"


def test_percent():
    assert numbers.percent(0.981) == "98.1"
    assert numbers.percent(math.nan) == "not a number"
