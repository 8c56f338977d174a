from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import LandscapeError
from engine.landscape import PointBuffer, Span
from tests.landscape.oracle import combine, state
from tests.models import MODELS

NAMES = ("A", "B", "C")


def span_of(model, dtype=None):
    models = []
    for seed in range(3):
        tensors = state(model.module(seed))
        if dtype is not None:
            tensors = {n: t.to(dtype) if t.is_floating_point() else t for n, t in tensors.items()}
        models.append(tensors)
    return Span(NAMES, tuple(models))


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name)
def test_a_one_hot_row_is_that_model_bit_for_bit(model):
    span = span_of(model)
    for k, row in enumerate(torch.eye(3)):
        point = span.at(row)
        assert point.keys() == span.models[k].keys()
        for name, tensor in point.items():
            expected = span.models[k if tensor.is_floating_point() else 0][name]
            assert tensor.dtype == expected.dtype
            assert torch.equal(tensor, expected)


@given(c=st.lists(st.floats(-2, 2, width=32), min_size=2, max_size=2))
@settings(max_examples=20, deadline=None)
def test_points_equal_the_float64_combination(c):
    span = span_of(MODELS[3])
    row = torch.tensor([c[0], c[1], 1 - c[0] - c[1]], dtype=torch.float64)
    point = span.at(row)
    for name, expected in combine(span.models, row).items():
        torch.testing.assert_close(point[name].double(), expected.double(), rtol=0, atol=4e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_combined_in_float32(dtype):
    span = span_of(MODELS[3], dtype)
    row = torch.tensor([0.3, 0.5, 0.2], dtype=torch.float64)
    point = span.at(row)
    for name, expected in combine(span.models, row).items():
        if expected.is_floating_point():
            assert point[name].dtype == torch.float32
            torch.testing.assert_close(point[name].double(), expected, rtol=0, atol=5e-7)
    exact = span.at(torch.tensor([0.0, 1.0, 0.0]))
    name = next(iter(exact))
    assert torch.equal(exact[name], span.models[1][name].float())


def test_float64_models_stay_float64():
    span = span_of(MODELS[0], torch.float64)
    row = torch.tensor([0.1, 0.2, 0.7], dtype=torch.float64)
    for name, expected in combine(span.models, row).items():
        torch.testing.assert_close(span.at(row)[name], expected, rtol=0, atol=1e-15)


def test_whole_numbers_come_from_the_first_model():
    models = tuple({"w": torch.ones(2), "n": torch.tensor(k)} for k in range(2))
    assert int(Span(("A", "B"), models).at(torch.tensor([0.0, 1.0]))["n"]) == 0


def test_a_model_of_coefficient_zero_takes_no_part():
    good, broken = {"w": torch.ones(2)}, {"w": torch.full((2,), torch.nan)}
    span = Span(("A", "B"), (good, broken))
    assert torch.equal(span.at(torch.tensor([1.0, 0.0]))["w"], good["w"])
    assert span.at(torch.tensor([0.5, 0.5]))["w"].isnan().all()


def test_points_are_new_memory_and_models_stay_as_they_are():
    span = span_of(MODELS[0])
    before = [{n: t.clone() for n, t in model.items()} for model in span.models]
    span.at(torch.tensor([1.0, 0.0, 0.0]))["1.weight"].fill_(7)
    span.at(torch.tensor([0.5, 0.5, 0.0]))
    for old, model in zip(before, span.models, strict=True):
        assert all(torch.equal(old[name], model[name]) for name in old)


def test_the_buffer_forms_points_in_the_same_memory():
    span = span_of(MODELS[0])
    buffer = PointBuffer(span)
    first = buffer.form([1.0, 0.0, 0.0])
    place = {name: tensor.data_ptr() for name, tensor in first.items()}
    second = buffer.form([0.0, 0.0, 1.0])
    assert {name: tensor.data_ptr() for name, tensor in second.items()} == place
    assert torch.equal(second["1.weight"], span.models[2]["1.weight"])
    assert buffer.flat.numel() == sum(t.numel() for t in span.models[0].values())


def test_to_shares_memory_and_keeps_the_named_tensors():
    span = span_of(MODELS[0])
    kept = span.to("cpu", ["1.weight"])
    assert list(kept.models[0]) == ["1.weight"]
    assert kept.models[0]["1.weight"].data_ptr() == span.models[0]["1.weight"].data_ptr()


@pytest.mark.parametrize(
    ("coefficients", "message"),
    [
        ([[0.5, 0.5]], r"shape \[1, 2\] do not fit 3 models"),
        ([[0.5, 0.6, 0.0]], "point 0 do not sum to 1 .they miss it by 0.1"),
        ([[float("nan"), 0.0, 1.0]], "NaN or infinite"),
        ([[float("inf"), 0.0, 1.0]], "NaN or infinite"),
    ],
)
def test_bad_coefficients_are_refused(coefficients, message):
    with pytest.raises(LandscapeError, match=message):
        span_of(MODELS[0]).check(torch.tensor(coefficients))


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"v": torch.ones(2)}, "A and B do not have the same tensors.* v, w"),
        ({"w": torch.ones(3)}, r"w has shape \[2\] in A but \[3\] in B"),
        ({"w": torch.ones(2).long()}, r"w is torch.float32 in A but torch.int64 in B"),
    ],
)
def test_models_that_differ_are_refused(other, message):
    with pytest.raises(LandscapeError, match=message):
        Span(("A", "B"), ({"w": torch.ones(2)}, other))


def test_a_name_per_model_is_needed():
    with pytest.raises(LandscapeError, match="given 2 names and 1 models"):
        Span(("A", "B"), ({"w": torch.ones(2)},))
