"""`run_method` and `obstacle`: one call for every method, and why one cannot run."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

import engine.matching.activation_matching as activations
from engine.errors import MatchingError
from engine.matching import METHODS, MatchResult, Needs, match_weights, obstacle, run_method
from tests.matching.test_activation_matching import lively
from tests.matching.test_weight_matching import BY_NAME, traced, weights

QUICK = {
    "ste": {"steps": 2, "batch_size": 20},
    "sinkhorn": {"steps": 3},
    "frank-wolfe": {"steps": 5},
}
"""Options that make a method quick."""


def samples(name: str = "mlp", count: int = 40) -> SimpleNamespace:
    return SimpleNamespace(inputs=BY_NAME[name].inputs(count), targets=torch.arange(count) % 4)


@pytest.mark.parametrize("key", METHODS)
def test_every_method_runs_by_its_key(key):
    program, symmetry = traced("mlp")
    shares: list[float] = []
    result = run_method(
        key,
        program,
        symmetry,
        lively(program, 0),
        lively(program, 1),
        data=samples(),
        options=QUICK.get(key, {}),
        seed=3,
        progress=shares.append,
    )
    assert isinstance(result, MatchResult)
    assert (result.method, result.seed) == (key, 3)
    symmetry.check_permutation(result.permutation)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert shares[0] >= 0


def test_options_and_seed_reach_the_method():
    program, symmetry = traced("mlp")
    a, b = lively(program, 0), lively(program, 1)
    result = run_method(
        "weight", program, symmetry, a, b, options={"restarts": 4, "max_sweeps": 2}, seed=7
    )
    own = match_weights(program, symmetry, a, b, restarts=4, max_sweeps=2, seed=7)
    assert result.restarts == own.restarts
    assert len(result.restarts) == 4


@pytest.mark.parametrize("key", METHODS)
def test_cancelling_is_passed_on(key):
    program, symmetry = traced("mlp")
    models = weights(program, 0), weights(program, 1)
    result = run_method(key, program, symmetry, *models, data=samples(), should_stop=lambda: True)
    assert result.stop_reason.value == "cancelled"


@pytest.mark.parametrize("key", [m.key for m in METHODS.values() if m.needs is not Needs.NOTHING])
def test_a_method_without_its_data_says_so(key):
    program, symmetry = traced("mlp")
    method, a = METHODS[key], weights(program, 0)
    expected = f"{method.title} needs {method.needs.value}, and no data is chosen"
    assert obstacle(key, program, symmetry, None) == expected
    with pytest.raises(MatchingError, match=expected):
        run_method(key, program, symmetry, a, a)


def test_data_without_labels_are_not_enough_for_a_loss():
    program, symmetry = traced("mlp")
    data = SimpleNamespace(inputs=BY_NAME["mlp"].inputs(4), targets=None)
    assert obstacle("activation", program, symmetry, data) is None
    assert "these data have no labels" in (obstacle("ste", program, symmetry, data) or "")


@pytest.mark.parametrize("key", METHODS)
def test_a_device_that_is_not_there_is_named(key, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    program, symmetry = traced("mlp")
    found = obstacle(key, program, symmetry, samples(), "cuda:1")
    assert found == (
        f"{METHODS[key].title} is asked to run on cuda:1, but torch finds no CUDA device here; "
        "take the cpu"
    )


def test_what_is_too_large_is_said_beforehand(monkeypatch):
    monkeypatch.setattr(activations, "MOST_STATISTICS_BYTES", 100)
    program, symmetry = traced("mlp")
    found = obstacle("activation", program, symmetry, samples())
    assert "GiB of sums over pairs of units" in (found or "")
    assert obstacle("weight", program, symmetry, samples()) is None


def test_unknown_methods_and_options_are_named():
    program, symmetry = traced("mlp")
    with pytest.raises(
        MatchingError, match="there is no matching method 'magic'; there are weight"
    ):
        obstacle("magic", program, symmetry, None)
    with pytest.raises(MatchingError, match="weight matching has no option steps; its options are"):
        run_method("weight", program, symmetry, {}, {}, options={"steps": 3})
