"""Drawing, normalising and laying out samples."""

from __future__ import annotations

import pytest
import torch

from engine.data.dataset import Dataset, RawImages, build_dataset, draw, fit_inputs, normalise
from engine.errors import DataError


def made(shape: tuple[int, ...], count: int = 4) -> Dataset:
    size = count * torch.Size(shape).numel()
    inputs = torch.arange(size, dtype=torch.float32).reshape(count, *shape)
    return Dataset(inputs, torch.zeros(count, dtype=torch.int64), "x", "test", 2, "", (0,), (1,))


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
    raw = RawImages(torch.zeros(9, 1, 2, 2, dtype=torch.uint8), torch.arange(9) % 3, 3, "abc")

    def digest(raw=raw, split="test", samples=None, seed=0):
        plain = {"name": "x", "mean": (0.0,), "std": (1.0,)}
        return build_dataset(raw, split=split, samples=samples, seed=seed, **plain).sha256

    other = RawImages(raw.inputs, raw.targets, 3, "abd")
    found = [digest(), digest(other), digest(split="train"), digest(samples=4)]
    found.append(digest(samples=4, seed=1))
    assert len(set(found)) == 5
    assert digest() == digest(seed=7)  # nothing is drawn, so the seed means nothing


def test_samples_keep_their_targets():
    raw = RawImages(torch.arange(20, dtype=torch.uint8).reshape(20, 1), torch.arange(20), 20, "")
    data = build_dataset(
        raw, name="x", split="test", samples=6, seed=0, mean=(0.0,), std=(1 / 255,)
    )
    assert data.inputs[:, 0].round().long().equal(data.targets)
    assert len(data) == 6


@pytest.mark.parametrize(
    ("shape", "wanted"),
    [
        ((1, 4, 6), (24,)),
        ((24,), (1, 4, 6)),
        ((4, 6), (1, 4, 6)),
        ((1, 4, 6), (4, 6)),
        ((4, 6, 1), (1, 4, 6)),
        ((2, 3), (2, 3)),
    ],
)
def test_plain_layouts_are_fitted(shape, wanted):
    data = made(shape)
    fitted = fit_inputs(data, wanted)
    assert fitted.inputs.shape == (4, *wanted)
    assert fitted.inputs.flatten().equal(data.inputs.flatten())


def test_channels_come_first():
    data = made((4, 6, 3))
    fitted = fit_inputs(data, (3, 4, 6))
    assert fitted.inputs[2, 1, 3, 5] == data.inputs[2, 3, 5, 1]
    assert fitted.inputs.is_contiguous()


@pytest.mark.parametrize("wanted", [(3, 32, 32), (10,), (6, 4), (2, 12)])
def test_other_shapes_are_refused_with_both_named(wanted):
    text = " × ".join(map(str, wanted))
    with pytest.raises(DataError, match=f"takes inputs of shape {text}, but x has .*1 × 4 × 6;"):
        fit_inputs(made((1, 4, 6)), wanted)
