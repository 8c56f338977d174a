"""Drawing and normalising samples."""

from __future__ import annotations

import pytest
import torch

from engine.data.dataset import Dataset, RawData, build_dataset, draw, normalise
from engine.data.task import CLASSIFICATION, LANGUAGE, REGRESSION
from engine.errors import DataError


def test_a_draw_is_distinct_sorted_and_repeatable():
    first = draw(1000, 50, seed=3)
    assert first.tolist() == sorted(set(first.tolist()))
    assert first.equal(draw(1000, 50, seed=3))
    assert not first.equal(draw(1000, 50, seed=4))
    assert draw(5, 5, seed=1).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("samples", "message"), [(0, "At least one sample"), (6, "only 5")])
def test_impossible_draws_are_refused(samples, message):
    with pytest.raises(DataError, match=message):
        draw(5, samples, seed=0)


def test_bytes_are_divided_by_255_and_normalised_per_channel():
    inputs = torch.full((2, 3, 1, 1), 51, dtype=torch.uint8)
    out = normalise(inputs, (0.1, 0.2, 0.3), (0.5, 1.0, 0.1))
    assert out[1, :, 0, 0].tolist() == pytest.approx([0.2, 0.0, -1.0], abs=1e-6)


def test_floats_are_taken_as_they_are_and_never_mutated():
    inputs = torch.tensor([[2.0, 300.0]])
    assert normalise(inputs, (0.0,), (1.0,)).equal(inputs)
    assert normalise(inputs, (1.0,), (2.0,)).tolist() == [[0.5, 149.5]]
    assert inputs.tolist() == [[2.0, 300.0]]


@pytest.mark.parametrize(
    ("mean", "std", "message"),
    [
        ((0.0, 0.0), (1.0,), "The mean has 2 numbers; give one, or one for each of the 3"),
        ((0.0,), (1.0, 1.0), "The std has 2 numbers"),
        ((float("nan"),), (1.0,), "must be finite"),
        ((0.0,), (0.0,), "Every std must be positive"),
    ],
)
def test_wrong_normalisations_are_refused(mean, std, message):
    with pytest.raises(DataError, match=message):
        normalise(torch.zeros(1, 3, 2, 2), mean, std)


def test_the_hash_depends_on_source_and_selection():
    raw = RawData(torch.zeros(9, 1, 2, 2, dtype=torch.uint8), torch.arange(9) % 3, 3, "abc")

    def digest(raw=raw, split="test", samples=None, seed=0):
        plain = {"name": "x", "mean": (0.0,), "std": (1.0,)}
        return build_dataset(raw, split=split, samples=samples, seed=seed, **plain).sha256

    other = RawData(raw.inputs, raw.targets, 3, "abd")
    found = [digest(), digest(other), digest(split="train"), digest(samples=4)]
    found.append(digest(samples=4, seed=1))
    assert len(set(found)) == 5
    assert digest() == digest(seed=7)  # nothing is drawn, so the seed means nothing


def test_samples_keep_their_targets():
    raw = RawData(torch.arange(20, dtype=torch.uint8).reshape(20, 1), torch.arange(20), 20, "")
    data = build_dataset(
        raw, name="x", split="test", samples=6, seed=0, mean=(0.0,), std=(1 / 255,)
    )
    assert data.inputs[:, 0].round().long().equal(data.targets)
    assert len(data) == 6


def test_token_ids_are_never_normalised():
    ids = torch.tensor([[3, 255], [0, 7]])
    raw = RawData((ids, torch.full((2, 2), 51, dtype=torch.uint8)), torch.tensor([0, 1]), 2, "")
    data = build_dataset(raw, name="x", split="test", samples=1, seed=0, mean=(0.1,), std=(0.5,))
    assert data.inputs[0].dtype == torch.int64
    assert data.inputs[0][0].tolist() in ids.tolist()
    assert data.inputs[1].tolist() == [pytest.approx([0.2, 0.2])]


def test_samples_of_ones_own_are_taken_as_they_are():
    x, y = torch.randn(4, 3), torch.tensor([0, 2, 1, 0], dtype=torch.int32)
    data = Dataset.from_tensors(x, y, name="mine", split="train")
    assert data.inputs is x
    assert (data.name, data.split, data.classes, data.targets.dtype) == (
        *("mine", "train", 3),
        torch.int64,
    )
    assert data.sha256 != Dataset.from_tensors(x + 1, y, split="train").sha256
    assert data.task is CLASSIFICATION
    assert Dataset.from_tensors((x, x), torch.zeros(4, 2)).task is REGRESSION
    tokens = torch.tensor([[1, -100], [0, 5]])
    data = Dataset.from_tensors(tokens, tokens)
    assert (data.task, data.classes) == (LANGUAGE, 6)


@pytest.mark.parametrize(
    ("inputs", "targets", "message"),
    [
        (torch.zeros(0, 3), torch.zeros(0).long(), "needs samples and one target for each"),
        (torch.zeros(4, 3), torch.zeros(3).long(), "inputs and targets hold 4, 3"),
        (torch.zeros(2, 3), torch.tensor([0, -1]), "has the target -1; classes count from 0"),
        (torch.zeros(2, 3), torch.tensor([[0, -1]] * 2), "tokens count from 0 .-100 leaves"),
        (torch.zeros(2, 3), torch.full((2, 2), -100), "-100 as every target"),
        (torch.zeros(2, 3), torch.tensor([1.0, torch.nan]), "NaN or infinite in 1 .* sample 1"),
    ],
)
def test_samples_that_make_no_sense_are_refused(inputs, targets, message):
    with pytest.raises(DataError, match=message):
        Dataset.from_tensors(inputs, targets)
