"""Sinkhorn's operator against autograd through its iterations, and what it learns."""

from __future__ import annotations

import pytest
import torch

from engine.errors import MatchingError
from engine.matching import match_sinkhorn, match_weights
from engine.matching.sinkhorn import scaled, sinkhorn
from tests.matching.test_activation_matching import lively
from tests.matching.test_straight_through import SAMPLES, labels, midpoint_loss
from tests.matching.test_weight_matching import BY_NAME, traced


@pytest.mark.parametrize("shape", [(5, 5), (3, 4, 4)])
def test_rows_and_columns_sum_to_one(shape):
    x = 3 * torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    p = sinkhorn(x, iterations=200)
    assert torch.allclose(p.sum(-1), torch.ones(shape[:-1], dtype=torch.float64))
    assert torch.allclose(p.sum(-2), torch.ones(shape[:-1], dtype=torch.float64))
    # P = diag(r) exp(X) diag(c): log P − X has rank one in this sense
    rest = p.log() - x
    crossed = rest[..., :1, :1] + rest - rest[..., :1, :] - rest[..., :, :1]
    assert float(crossed.abs().max()) < 1e-9


def test_a_low_temperature_gives_the_assignment():
    x = torch.randn(6, 6, generator=torch.Generator().manual_seed(1))
    p = sinkhorn(x, temperature=0.01, iterations=500)
    assert torch.equal(p.round(), p.round().clamp(0, 1))
    assert torch.equal(p.round().sum(0), torch.ones(6))
    assert bool(sinkhorn(1000 * x).isfinite().all())


@pytest.mark.parametrize("shape", [(5, 5), (3, 4, 4)])
def test_the_implicit_derivative_is_that_of_the_unrolled_iterations(shape):
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(shape, dtype=torch.float64, generator=generator)
    weights = torch.randn(shape, dtype=torch.float64, generator=generator)
    one, two = x.clone().requires_grad_(), x.clone().requires_grad_()
    (sinkhorn(one, 0.7, 100) * weights).square().sum().backward()
    (scaled(two / 0.7, 100) * weights).square().sum().backward()
    assert one.grad is not None and two.grad is not None
    assert torch.allclose(one.grad, two.grad, atol=1e-10)
    assert float(two.grad.abs().max()) > 1e-3


def test_weights_that_agree_are_learnt():
    program, symmetry = traced("wide-mlp")
    a, b = lively(program, 0), lively(program, 1)
    result = match_sinkhorn(program, symmetry, a, b, steps=40)
    assert result.learnt == "weights"
    assert len(result.relaxed) == result.sweeps == 40
    assert result.relaxed[-1] > result.relaxed[0]
    assert result.trace[-1] == result.objective
    assert result.objective > 0.99 * match_weights(program, symmetry, a, b).objective


def test_midpoints_of_low_loss_are_learnt():
    program, symmetry = traced("mlp")
    a, b, inputs = lively(program, 1), lively(program, 2), BY_NAME["mlp"].inputs(SAMPLES)
    options = {"learnt": "midpoint", "steps": 40, "batch_size": 45}
    result = match_sinkhorn(program, symmetry, a, b, inputs, labels(), **options)
    pi_b = symmetry.apply(result.permutation, b)
    loss = midpoint_loss("mlp", a, pi_b, labels())
    assert min(result.losses) == pytest.approx(loss, rel=1e-5)
    assert result.losses[0] == pytest.approx(midpoint_loss("mlp", a, b, labels()), rel=1e-5)
    assert loss < result.losses[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"learnt": "all"}, "learnt is one of weights, midpoint, not 'all'"),
        ({"learnt": "midpoint"}, "the loss of the midpoint needs inputs and targets"),
        ({"rate": 0.0}, "rate must be above 0, not 0.0"),
        ({"temperature": float("nan")}, "temperature must be above 0, not nan"),
        ({"iterations": 0}, "iterations must be at least 1, not 0"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, message):
    program, symmetry = traced("mlp")
    a = lively(program, 0)
    with pytest.raises(MatchingError, match=message):
        match_sinkhorn(program, symmetry, a, a, **options)


def test_what_does_not_fit_is_said_at_once():
    program, symmetry = traced("mlp")
    a, values = lively(program, 0), BY_NAME["mlp"].inputs(SAMPLES)
    with pytest.raises(MatchingError, match="Sinkhorn re-basin needs one target per sample"):
        match_sinkhorn(program, symmetry, a, a, values, labels()[:3], learnt="midpoint")
    values[:] = float("inf")
    with pytest.raises(MatchingError, match="the midpoint's loss is NaN"):
        match_sinkhorn(program, symmetry, a, a, values, labels(), learnt="midpoint")
