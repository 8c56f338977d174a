"""Fresh weights: flax's distribution, repeatable, and without the global random state."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from engine.errors import TrainingError
from engine.training.initialise import TRUNCATED_STD, build_fresh


def fresh(build, seed=0):
    return build_fresh(build, torch.Generator().manual_seed(seed))


def test_linear_weights_are_lecun_normal_truncated():
    layer = fresh(lambda: nn.Linear(400, 500))
    assert layer.weight.std().item() == pytest.approx(400**-0.5, rel=0.01)
    assert layer.weight.mean().item() == pytest.approx(0, abs=1e-3)
    limit = 2 * 400**-0.5 / TRUNCATED_STD
    assert 0.99 * limit < layer.weight.abs().max().item() <= limit
    assert not layer.bias.any()


def test_the_constant_is_the_std_of_a_truncated_normal():
    normal = torch.distributions.Normal(0.0, 1.0)
    density = normal.log_prob(torch.tensor(2.0, dtype=torch.float64)).exp()
    mass = 2 * normal.cdf(torch.tensor(2.0, dtype=torch.float64)) - 1
    assert (1 - 4 * density / mass).sqrt().item() == pytest.approx(TRUNCATED_STD, abs=1e-7)


def test_the_fan_in_of_a_convolution_counts_its_window():
    layer = fresh(lambda: nn.Conv2d(40, 200, 3, bias=False))
    assert layer.weight.std().item() == pytest.approx(360**-0.5, rel=0.01)


def test_norms_start_at_one_and_zero():
    module = fresh(lambda: nn.Sequential(nn.BatchNorm2d(3), nn.LayerNorm(4)))
    state = module.state_dict()
    assert state["0.running_var"].tolist() == state["0.weight"].tolist() == [1.0] * 3
    assert not state["0.running_mean"].any() and not state["1.bias"].any()
    assert state["0.num_batches_tracked"] == 0
    assert state["1.weight"].tolist() == [1.0] * 4


def test_one_seed_one_start_and_the_global_state_is_untouched():
    before = torch.get_rng_state()
    first, again, other = (fresh(lambda: nn.Linear(5, 5), seed) for seed in (1, 1, 2))
    assert torch.get_rng_state().equal(before)
    assert first.weight.equal(again.weight)
    assert not first.weight.equal(other.weight)


def test_unknown_layers_are_refused():
    with pytest.raises(TrainingError, match=r"The layer '1' \(PReLU\) has no known start"):
        fresh(lambda: nn.Sequential(nn.Linear(2, 2), nn.PReLU()))


@pytest.mark.parametrize("width", [99_999_999_999, 3_000_000])
def test_more_units_than_fit_into_memory_are_refused(width):
    with pytest.raises(TrainingError, match="more memory than this machine has; choose a smaller"):
        fresh(lambda: nn.Linear(width, width))
