"""How options' values are read."""

from __future__ import annotations

import pytest

from engine.commandline.values import pairs
from engine.errors import SpecError


def test_numbers_lists_and_texts_are_told_apart():
    texts = ["heads=4", "norm_eps=1e-6", "pools=[1, 3]", "bias=true", "activation=gelu", "x=a=b"]
    assert pairs([*texts, 'quoted="4"', "nothing=", "none=null"]) == {
        "heads": 4,
        "norm_eps": 1e-6,
        "pools": [1, 3],
        "bias": True,
        "activation": "gelu",
        "x": "a=b",
        "quoted": '"4"',
        "nothing": "",
        "none": "null",
    }


@pytest.mark.parametrize("text", ["heads", "=4", ""])
def test_what_is_no_pair_is_refused(text):
    with pytest.raises(SpecError, match="takes NAME=VALUE, not"):
        pairs([text])
