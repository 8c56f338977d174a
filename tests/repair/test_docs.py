"""The page that tells how to choose a repair."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.repair import REPAIRS

PAGE = Path(__file__).parent.parent.parent / "docs" / "repair.md"


@pytest.mark.parametrize("key", REPAIRS)
def test_the_page_names_every_repair(key):
    repair = REPAIRS[key]
    row = f"| `{key}` | {repair.title} | {repair.needs.value} |"
    assert row in PAGE.read_text(encoding="utf-8")


def test_the_page_lists_them_in_the_order_in_which_they_are_applied():
    text = PAGE.read_text(encoding="utf-8")
    places = [text.index(f"| `{key}` |") for key in REPAIRS]
    assert places == sorted(places)
