"""Plain text as sequences of bytes."""

from __future__ import annotations

import pytest
import torch

from engine.data import load_dataset
from engine.data.text import LENGTH
from engine.errors import DataError
from tests.data.test_fit import TOKENS, Takes


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "poem.txt"
    path.write_bytes(bytes(range(100, 117)))
    return path


def test_every_position_is_asked_for_the_byte_that_follows(text):
    takes = (Takes("ids", (5,), torch.int64, 256),)
    data = load_dataset(text, model_inputs=takes)
    assert data.inputs.tolist() == [list(range(k, k + 5)) for k in (100, 105, 110)]
    assert data.targets.equal(data.inputs + 1)
    assert data.classes == 117
    shorter = load_dataset(text, model_inputs=(Takes("ids", (4,), torch.int64, 256),))
    assert len(shorter) == 4
    assert shorter.sha256 != data.sha256


def test_without_a_model_the_length_is_the_usual_one(text):
    text.write_bytes(b"a" * (2 * LENGTH + 1))
    assert load_dataset(text).inputs.shape == (2, LENGTH)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "has 0 bytes; at least 65"), (b"a" * 64, "has 64 bytes; at least 65 are needed")],
)
def test_a_text_that_is_too_short_is_refused(content, message, text):
    text.write_bytes(content)
    with pytest.raises(DataError, match=rf"poem\.txt: the text {message}"):
        load_dataset(text)


def test_a_text_that_is_too_large_is_refused(text, monkeypatch):
    monkeypatch.setattr("engine.data.text.MOST_BYTES", 16)
    with pytest.raises(DataError, match="larger than 0 MiB"):
        load_dataset(text)


def test_bytes_are_not_the_tokens_of_another_vocabulary(text):
    large = Takes("ids", (5,), torch.int64, 50257)
    with pytest.raises(DataError, match="vocabulary of 50257, not 256; tokenise the text"):
        load_dataset(text, model_inputs=(large,))
    assert TOKENS.high < 256  # a smaller one is looked at byte by byte, in fit_data
