"""Numbers in a field of text: none changes on its way, and what is no list says so."""

from __future__ import annotations

import pytest

from engine.errors import SpecError
from pages.ui.number_list import read_extent, read_numbers, written

NUMBERS = (-0.123456789012345, 1e-7, 2.0, 1e6, 1 / 3, -0.0)


def test_numbers_come_back_to_the_last_bit():
    assert written(NUMBERS).startswith("-0.123456789012345, 1e-07, 2, 1000000, 0.33333333")
    assert read_numbers("Mean", written(NUMBERS), "1") == NUMBERS
    assert read_numbers("Mean", " ", "1") == ()


def test_an_extent_is_four_numbers_or_none():
    assert read_extent("") is None
    assert read_extent(" -1, 1,-2 ,2.5") == (-1, 1, -2, 2.5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,,2,3,4", r"^Extent: '1,,2,3,4' is no list of numbers; write them with commas, such"),
        ("1, 2, 3, 4,", "is no list of numbers"),
        ("1 2 3 4", "is no list of numbers"),
        ("1, 2, x, 4", "'1, 2, x, 4' is no list"),
        ("1, 2", r"^Extent: it takes four numbers, not 2; write them with commas, such as -1, 1"),
    ],
)
def test_what_is_no_extent_is_refused_in_one_sentence(text, message):
    with pytest.raises(SpecError, match=message):
        read_extent(text)
