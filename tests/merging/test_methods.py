"""The catalogue of ways to merge: complete, told apart, and explained in the documentation."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import MatchingError
from engine.matching.methods import METHODS
from engine.merging.methods import CONSISTENT, MERGE_MANY, MERGES, find_merge

DOCS = Path(__file__).resolve().parents[2] / "docs" / "merging.md"


def test_methods_for_many_come_first_and_every_method_for_two_is_there():
    assert list(MERGES) == [MERGE_MANY, CONSISTENT, *METHODS]
    assert [merge.pairwise for merge in MERGES.values()] == [False, False, *[True] * len(METHODS)]
    for key, method in METHODS.items():
        assert (MERGES[key].needs, MERGES[key].title) == (method.needs, method.title)
        assert method.title in MERGES[key].sentence


def test_the_documentation_names_the_methods_for_many_and_where_the_others_are():
    text = DOCS.read_text(encoding="utf-8")
    assert f"`{MERGE_MANY}`" in text
    assert f"`{CONSISTENT}`" in text
    assert "(matching.md)" in text


def test_an_unknown_method_is_refused_with_those_there_are():
    with pytest.raises(MatchingError, match="called glue; there are merge-many, cycle-consistent"):
        find_merge("glue")
