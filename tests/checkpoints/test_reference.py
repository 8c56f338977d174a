"""`org/name[@revision][:file]`."""

from __future__ import annotations

import pytest

from engine.checkpoints import Reference, parse_reference
from engine.errors import HubError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("org/name", Reference("org/name")),
        ("org/name@v1", Reference("org/name", "v1")),
        ("org/name:dir/w.pt", Reference("org/name", None, "dir/w.pt")),
        ("org/n.a-m_e@refs/pr/1:w.pt", Reference("org/n.a-m_e", "refs/pr/1", "w.pt")),
    ],
)
def test_the_parts_are_found_and_written_back(text, expected):
    assert parse_reference(text) == expected
    assert str(expected) == text


@pytest.mark.parametrize(
    "text",
    ["", "name", "a/b/c", "org/", "/name", "org/na me", "org/name@", "x" * 300 + "/" + "y" * 300],
)
def test_anything_else_is_refused(text):
    with pytest.raises(HubError, match="names no file on the Hub; write org/name"):
        parse_reference(text)


@pytest.mark.parametrize("file", ["../x", "/etc/passwd", "a//b", "a/../b", "..\\x"])
def test_a_file_outside_the_repository_is_refused(file):
    with pytest.raises(HubError, match="outside the repository"):
        parse_reference(f"org/name:{file}")
