"""Laying out samples as a model takes them, and every misfit with its sentence."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from engine.data import fit_data, fit_inputs
from engine.data.dataset import Dataset, RawData
from engine.data.fit import arrange
from engine.data.task import CLASSIFICATION, LANGUAGE, REGRESSION
from engine.errors import DataError


@dataclass(frozen=True)
class Takes:
    """What a model takes at one place."""

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype = torch.float32
    high: int = 0


IMAGE = Takes("x", (1, 4, 6))
TOKENS = Takes("ids", (5,), torch.int64, 9)
MASK = Takes("mask", (5,))
IDS = torch.arange(20).reshape(4, 5) % 9


def made(shape: tuple[int, ...], count: int = 4) -> Dataset:
    size = count * torch.Size(shape).numel()
    inputs = torch.arange(size, dtype=torch.float32).reshape(count, *shape)
    return Dataset(inputs, torch.zeros(count, dtype=torch.int64), "x", "test", 2, "", (0,), (1,))


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


def data_of(inputs, targets, names=()):
    return Dataset(inputs, targets, "x", "test", 3, "", (0.0,), (1.0,), names)


def test_inputs_find_their_places_by_name():
    mask = torch.rand(4, 5)
    data = data_of((mask, IDS), torch.zeros(4).long(), ("mask", "ids"))
    fitted = fit_data(data, (TOKENS, MASK), (3,))
    assert fitted.inputs[0].equal(IDS) and fitted.inputs[1].equal(mask)
    assert fit_data(fitted, (TOKENS, MASK), (3,)).inputs[0].equal(IDS)


def test_inputs_without_names_stand_in_the_models_order():
    for names in ((), ("0", "1")):
        data = data_of((IDS, torch.rand(4, 5)), torch.zeros(4).long(), names)
        assert fit_data(data, (TOKENS, MASK), (3,)).inputs[0].equal(IDS)


def test_bytes_are_token_ids_where_the_model_takes_tokens():
    raw = RawData(torch.full((4, 5), 7, dtype=torch.uint8), torch.zeros(4).long(), 3, "")
    assert arrange(raw, (TOKENS,), "x").inputs.dtype == torch.int64
    assert arrange(raw, (MASK,), "x").inputs.dtype == torch.uint8


def test_token_ids_take_the_models_kind():
    narrow = Takes("ids", (5,), torch.int32, 9)
    assert (
        fit_data(data_of(IDS, torch.zeros(4).long()), (narrow,), (3,)).inputs.dtype == torch.int32
    )


@pytest.mark.parametrize(
    ("targets", "outputs", "task", "shape"),
    [
        (torch.zeros(4).long(), (3,), CLASSIFICATION, (4,)),
        (torch.zeros(4, 1).long(), (3,), CLASSIFICATION, (4,)),
        (torch.zeros(4, 5).long(), (5, 3), LANGUAGE, (4, 5)),
        (torch.zeros(4, 1).long(), (1, 3), LANGUAGE, (4, 1)),
        (torch.zeros(4), (1,), REGRESSION, (4, 1)),
        (torch.zeros(4, 1), (), REGRESSION, (4,)),
        (torch.zeros(4, 2, 3), (2, 3), REGRESSION, (4, 2, 3)),
        (torch.zeros(4, 5), None, REGRESSION, (4, 5)),
    ],
)
def test_the_task_follows_from_targets_and_outputs(targets, outputs, task, shape):
    fitted = fit_data(data_of(IDS, targets), (TOKENS,), outputs)
    assert fitted.task is task
    assert fitted.targets.shape == shape


@pytest.mark.parametrize(
    ("inputs", "wanted", "message"),
    [
        ((IDS,) * 2, (TOKENS,), r"takes 1 input \(ids\), but x has 2 inputs; store `inputs`"),
        (IDS, (TOKENS, MASK), r"2 inputs \(ids, mask\), .* 1 input; store `inputs.ids` and `inp"),
        (IDS, (MASK,), "mask takes floating-point numbers of shape 5, but x has whole numbers"),
        (IDS.float(), (TOKENS,), "ids takes token ids, but x has floating-point numbers"),
        (IDS[:, :4], (TOKENS,), "sequences of 5 tokens as ids, but those of x have 4; cut or pad"),
        (IDS + 1, (TOKENS,), "run from 1 to 9, but the model knows 9, 0 to 8; use the tokeniser"),
        (IDS - 1, (TOKENS,), "tokens of x run from -1 to 7"),
        (torch.zeros(4, 7), (IMAGE,), "takes inputs of shape 1 × 4 × 6, but x has .* shape 7"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(inputs, wanted, message):
    with pytest.raises(DataError, match=message):
        fit_data(data_of(inputs, torch.zeros(4).long()), wanted, (3,))


def test_other_names_are_refused():
    data = data_of((IDS, IDS), torch.zeros(4).long(), ("ids", "type"))
    with pytest.raises(
        DataError, match=r"2 inputs \(ids, mask\), but x has 2 inputs \(ids, type\)"
    ):
        fit_data(data, (TOKENS, MASK), (3,))


@pytest.mark.parametrize(
    ("targets", "outputs", "message"),
    [
        (torch.zeros(4), (3,), r"floating-point targets of shape \[N\], but .* returns \[N, 3\]"),
        (torch.zeros(4, 2).long(), (3,), r"shape \[N, 2\], but .*one class number per sample, \[N"),
        (torch.zeros(4, 5).long(), (6, 3), r"\[N, 6, 3\]: a language model needs one token per"),
        (torch.zeros(4).long(), (2,), "x has 3 classes, but the model has 2 outputs"),
        (torch.zeros(4, 5).long(), (5, 2), "x has 3 tokens, but the model has 2 outputs"),
        (torch.eye(3)[[0, 1, 1, 2]], (3,), r"one-hot rows \[N, 3\]; store the class numbers"),
    ],
)
def test_targets_that_do_not_fit_are_refused(targets, outputs, message):
    with pytest.raises(DataError, match=message):
        fit_data(data_of(IDS, targets), (TOKENS,), outputs)


def test_a_vocabulary_that_cannot_be_seen_is_not_judged():
    unknown = Takes("ids", (5,), torch.int64, 2)
    assert fit_data(data_of(IDS, torch.zeros(4).long()), (unknown,), (3,)).inputs.equal(IDS)
