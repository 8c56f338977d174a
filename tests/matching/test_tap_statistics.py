"""Sums over streamed data against dense loops; units that do not vary; the ways units stand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.errors import MatchingError
from engine.matching import tap_statistics
from engine.matching.tap_statistics import Sums, tap_sums, unfolded
from engine.symmetry import Occurrence
from engine.symmetry.taps import Tap, taps
from tests.matching.test_weight_matching import traced, weights
from tests.models import MODELS

EPSILON = torch.finfo(torch.float32).eps


def values(seed: int, units: int = 5, count: int = 400, dtype=torch.float32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    mixed = torch.randn(units, units, generator=generator)
    return (mixed @ torch.randn(units, count, generator=generator) + 3).to(dtype)


def summed(a: torch.Tensor, b: torch.Tensor, statistic: str, batches: int = 7) -> torch.Tensor:
    copies = a.shape[0] if a.dim() == 3 else 1
    sums = Sums.empty(copies, a.shape[-2], a.dim() == 3, torch.device("cpu"))
    for pair in zip(a.chunk(batches, -1), b.chunk(batches, -1), strict=True):
        sums.add(*pair, shifted=statistic == "correlation")
    return sums.likeness(statistic, EPSILON)


def dense(a: torch.Tensor, b: torch.Tensor, statistic: str) -> np.ndarray:
    x, y = a.double().numpy(), b.double().numpy()
    if statistic == "correlation":
        return np.corrcoef(x, y)[: len(x), len(x) :] / len(x)
    return x @ y.T / (np.linalg.norm(x) * np.linalg.norm(y))


@pytest.mark.parametrize("statistic", tap_statistics.STATISTICS)
@pytest.mark.parametrize("batches", [1, 7, 400])
def test_streamed_sums_are_the_dense_computation(statistic, batches):
    a, b = values(0), values(1)
    found = summed(a, b, statistic, batches)
    assert np.allclose(found.numpy(), dense(a, b, statistic), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("statistic", tap_statistics.STATISTICS)
def test_long_batches_are_taken_in_pieces(monkeypatch, statistic):
    a, b = values(0), values(1)
    whole = summed(a, b, statistic, 1)
    monkeypatch.setattr(tap_statistics, "MOST_COLUMNS", 33)
    assert torch.allclose(summed(a, b, statistic, 1), whole, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("statistic", tap_statistics.STATISTICS)
def test_fixed_outer_units_meet_only_themselves(statistic):
    a, b = (torch.stack([values(seed), values(seed + 1)]) for seed in (0, 5))
    found = summed(a, b, statistic)
    whole = dense(a.flatten(0, 1), b.flatten(0, 1), statistic)
    for h in range(2):
        rows = slice(5 * h, 5 * h + 5)
        assert np.allclose(found[h].numpy(), whole[rows, rows], rtol=1e-5, atol=1e-6)


def test_a_model_beside_itself_is_perfectly_alike():
    a = values(0)
    cosine, correlation = (summed(a, a, statistic) for statistic in tap_statistics.STATISTICS)
    assert float(cosine.trace()) == pytest.approx(1, abs=1e-6)
    assert torch.allclose(correlation.diagonal(), torch.full((5,), 0.2, dtype=torch.float64))


def test_units_that_do_not_vary_correlate_with_nothing():
    a, b = values(0), values(1)
    a[1], a[2], b[3] = 0, 1e4 / 3, -7.7
    found = summed(a, b, "correlation")
    assert not found[[1, 2]].any()
    assert not found[:, 3].any()
    assert bool((found[0, [0, 1, 2, 4]] != 0).all())


def test_a_constant_that_rounding_shakes_is_a_constant():
    a = values(0)
    noise = torch.where(a[0] > 3, 1 + EPSILON, 1.0)
    a[1] = 1000 / 3 * noise
    assert a[1].unique().numel() == 2
    found = summed(a, values(1), "correlation")
    assert not found[1].any()
    assert found[0].all()


def test_small_variation_of_large_values_is_kept():
    a = values(0) * 1e-2
    b = a[[3, 1, 0, 2, 4]]
    found = summed(a + 1000, b + 1000, "correlation")
    expected = dense(a + 1000, b + 1000, "correlation")
    assert np.allclose(found.numpy(), expected, atol=1e-5)


def test_nothing_but_zeros_is_alike_to_nothing():
    zero = torch.zeros(3, 10)
    for statistic in tap_statistics.STATISTICS:
        assert torch.equal(summed(zero, zero, statistic), torch.zeros(3, 3, dtype=torch.float64))


def test_units_are_found_on_the_same_axis_and_on_another():
    value = torch.arange(2 * 12.0).view(2, 12)  # [batch, 3 units × 2 heads × 2]
    heads = Occurrence("x", 1, 0, 3, 2, 2)
    tap = Tap(Occurrence("x", 1, 0, 1, 3, 4, under=heads))
    expected = value.view(2, 3, 2, 2).permute(2, 1, 0, 3).reshape(2, 3, 4)
    assert torch.equal(unfolded(value, tap), expected)
    apart = value.view(2, 3, 4).permute(0, 2, 1).reshape(2, 2, 2, 3)  # [batch, heads, 2, units]
    tap = Tap(Occurrence("x", 3, 0, 1, 3, 1, under=Occurrence("x", 1, 0, 1, 2, 1)))
    assert torch.equal(unfolded(apart, tap), expected)


def test_a_part_of_an_axis_is_cut_out():
    value = torch.arange(24.0).view(2, 12)
    tap = Tap(Occurrence("x", 1, 1, 2, 3, 1))
    assert torch.equal(unfolded(value, tap), value[:, 1:7].view(2, 2, 3).movedim(2, 0).flatten(1))


@pytest.mark.parametrize("batch_size", [1, 5, 64])
def test_the_batch_size_changes_nothing_but_rounding(batch_size):
    program, symmetry = traced("vgg")
    model = next(m for m in MODELS if m.name == "vgg")
    models = (weights(program, 0), weights(program, 1))
    found = {}
    for size in (batch_size, 17):
        sums = {
            tap: Sums.empty(1, group.size, False, torch.device("cpu"))
            for group in symmetry.groups
            for tap in taps(program)[group.name]
        }
        args = {"statistic": "correlation", "batch_size": size}
        with torch.inference_mode():
            assert tap_sums(program, models, (model.inputs(17),), sums, **args)
        found[size] = [s.likeness("correlation", EPSILON) for s in sums.values()]
    for one, other in zip(found[batch_size], found[17], strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-6)


def test_values_that_are_not_finite_are_refused_by_node():
    program, _ = traced("mlp")
    a = weights(program, 0)
    a["1.weight"].fill_(1e30)
    sums = {tap: Sums.empty(1, 6, False, torch.device("cpu")) for tap in taps(program)["1"]}
    with pytest.raises(MatchingError, match="b has values at relu that are NaN, infinite"):
        tap_sums(
            program,
            (weights(program, 0), a),
            (torch.full((3, 12), 1e10),),
            sums,
            statistic="inner_product",
            batch_size=2,
        )
