"""JSON read field by field: what is missing or of another kind is told by its place."""

from __future__ import annotations

import math

import pytest

from engine.checkpoints.pt2.document import MOST_BYTES, Entry, parse_document
from engine.errors import CheckpointError, LimitError


def entry(text: str) -> Entry:
    return parse_document(text.encode(), "it")


def test_fields_of_every_kind():
    found = entry('{"a": {"b": [{"c": 1}, {"c": 2}]}, "t": "x", "f": true, "n": null, "r": 2}')
    assert [one.whole("c") for one in found.entry("a").entries("b")] == [1, 2]
    assert (found.text("t"), found.flag("f"), found.real("r")) == ("x", True, 2.0)
    assert found.has("t")
    assert not found.has("n")
    assert not found.has("missing")
    assert dict(entry('{"m": {"k": {"v": 1}}}').mapping("m"))["k"].whole("v") == 1
    assert entry('{"as_int": 3}').union() == ("as_int", 3)


def test_torch_writes_what_is_no_number_as_a_word():
    found = entry('{"a": "Infinity", "b": "-Infinity", "c": "NaN"}')
    assert found.real("a") == math.inf
    assert found.real("b") == -math.inf
    assert math.isnan(found.real("c"))


@pytest.mark.parametrize(
    ("text", "read", "message"),
    [
        ("{}", lambda e: e.text("a"), "it lacks the field 'a'"),
        ('{"a": 1}', lambda e: e.text("a"), r"it\.a is 1, not text"),
        ('{"a": true}', lambda e: e.whole("a"), r"it\.a is True, not a whole number"),
        ('{"a": 1.5}', lambda e: e.whole("a"), r"it\.a is 1\.5, not a whole number"),
        ('{"a": 1e999}', lambda e: e.real("a"), r"it\.a is inf, not a number"),
        ('{"a": 1}', lambda e: e.flag("a"), r"it\.a is 1, not true or false"),
        ('{"a": {}}', lambda e: e.items("a"), r"it\.a is an object, not a list"),
        ('{"a": []}', lambda e: e.entry("a"), r"it\.a is a list, not an object"),
        ('{"a": [1]}', lambda e: list(e.entries("a")), r"it\.a\[0\] is 1, not an object"),
        ('{"a": 1, "b": 2}', lambda e: e.union(), "it names 2 kinds, not one"),
        ('{"a": 1, "b": 2}', lambda e: e.only("a"), "it has the unknown field 'b'"),
        ('{"a": "Infinite"}', lambda e: e.real("a"), r"it\.a is 'Infinite', not a number"),
    ],
)
def test_what_is_wrong_has_a_place(text, read, message):
    with pytest.raises(CheckpointError, match=message):
        read(entry(text))


def test_brackets_inside_texts_do_not_count_as_depth():
    deep = "[" * 500
    assert entry(f'{{"a": "{deep}", "b": "\\"{deep}"}}').text("a") == deep
    with pytest.raises(LimitError, match="nested deeper than 64 levels"):
        entry('{"a": ' + "[" * 70 + "]" * 70 + "}")


def test_long_documents_are_refused_before_they_are_parsed():
    with pytest.raises(LimitError, match="it takes 67,108,865 bytes, more than the limit of"):
        parse_document(b" " * (MOST_BYTES + 1), "it")
