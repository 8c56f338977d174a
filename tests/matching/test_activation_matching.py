"""Activation matching: planted permutations, brute force, units without signal, options."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise, permutations

import pytest
import torch
from torch import Tensor, nn

from engine.errors import MatchingError, NonFiniteError
from engine.matching import ActivationMatch, StopReason, activation_matching, match_activations
from engine.matching.tap_statistics import STATISTICS
from engine.program import Program, capture
from engine.symmetry import Symmetry, derive_symmetry
from tests.matching.test_weight_matching import BY_NAME, NAMES, WIDE, traced, weights
from tests.symmetry.cases_nested import NESTED
from tests.symmetry.test_taps import MIXING, mixing
from tests.symmetry.tiny import Tiny, program_of


def match(name: str, a: Mapping, b: Mapping, samples: int = 60, **options) -> ActivationMatch:
    inputs = BY_NAME[name].inputs(samples)
    return match_activations(*traced(name), a, b, inputs, batch_size=25, **options)


def lively(program: Program, seed: int) -> dict[str, Tensor]:
    """Draw weights with which units vary and none is dead: rows around zero, some bias."""
    drawn = weights(program, seed)
    for key, tensor in drawn.items():
        if key in program.statistics_names:
            drawn[key] = tensor.abs() + 0.5
        elif tensor.ndim > 1:
            rows = tensor - tensor.flatten(1).mean(1).view(-1, *[1] * (tensor.ndim - 1))
            drawn[key] = 2 * rows / tensor[0].numel() ** 0.5
        else:
            drawn[key] = tensor.abs() + (1 if key.endswith("bias") else 0.5)
    return drawn


@pytest.mark.parametrize("statistic", STATISTICS)
@pytest.mark.parametrize("name", [*NAMES, *(model.name for model in WIDE)])
def test_a_planted_permutation_is_recovered_in_every_model(name, statistic):
    program, symmetry = traced(name)
    a = lively(program, 1)
    planted = symmetry.random(torch.Generator().manual_seed(0))
    result = match(name, a, symmetry.apply(planted, a), statistic=statistic)
    assert result.permutation == planted.inverse()
    assert result.stop_reason is StopReason.CONVERGED
    assert result.likeness <= 1 + 1e-5
    if statistic == "inner_product":
        assert result.likeness == pytest.approx(1, abs=1e-5)
    assert result.likeness > result.likeness_identity


@pytest.mark.parametrize("statistic", STATISTICS)
@pytest.mark.parametrize(
    "name",
    ["fused attention", "talking heads before the values", "experts", "heads with slopes: fixed"],
)
def test_a_planted_permutation_of_nested_groups_is_recovered(name, statistic):
    function, shapes = NESTED[name][:2]
    program = program_of(Tiny(function, shapes), (3, 5))
    symmetry = derive_symmetry(program)
    a = weights(program, 3)
    planted = symmetry.random(torch.Generator().manual_seed(1))
    inputs = torch.randn(80, 3, 5, generator=torch.Generator().manual_seed(0))
    b = symmetry.apply(planted, a)
    result = match_activations(program, symmetry, a, b, inputs, statistic=statistic)
    assert result.permutation == planted.inverse()


def test_groups_across_one_another_are_matched_each_for_itself():
    program = program_of(Tiny(mixing, MIXING), (3, 5))
    symmetry = derive_symmetry(program)
    a = weights(program, 0)
    planted = symmetry.random(torch.Generator().manual_seed(1))
    inputs = torch.randn(80, 3, 5, generator=torch.Generator().manual_seed(0))
    result = match_activations(program, symmetry, a, symmetry.apply(planted, a), inputs)
    assert result.permutation == planted.inverse()


@pytest.mark.parametrize("statistic", STATISTICS)
def test_no_permutation_of_a_small_network_is_more_alike(statistic):
    program, _ = traced("mlp")
    a, b = lively(program, 1), lively(program, 2)
    result = match("mlp", a, b, statistic=statistic)
    inputs = BY_NAME["mlp"].inputs(60)
    run = program.tapped(["relu", "relu_1"])
    seen = [run(model, inputs)[1] for model in (a, b)]
    total = 0.0
    for node in ("relu", "relu_1"):
        x, y = (values[node].double() for values in seen)
        if statistic == "correlation":
            x, y = (z - z.mean(0) for z in (x, y))
            x, y = (z / z.norm(dim=0) / z.shape[1] ** 0.5 for z in (x, y))
        else:
            x, y = x / x.norm(), y / y.norm()
        total += max(float((x * y[:, list(p)]).sum()) for p in permutations(range(x.shape[1])))
    assert result.likeness == pytest.approx(total / 2, abs=1e-5)


def test_a_mixture_follows_both_and_never_falls():
    program, symmetry = traced("wide-resnet")
    a, b = lively(program, 1), lively(program, 2)
    alone = match("wide-resnet", a, b)
    mixed = match("wide-resnet", a, b, mixture=0.3)
    assert mixed.objective > alone.objective
    assert mixed.likeness_identity < mixed.likeness < alone.likeness
    assert all(later >= earlier for earlier, later in pairwise(mixed.trace))
    names = set(symmetry.layouts) - program.statistics_names
    lengths = [sum(float(m[n].double().square().sum()) for n in names) ** 0.5 for m in (a, b)]
    share = 0.3 / 0.7 * lengths[0] * lengths[1]
    expected = mixed.objective + share * mixed.likeness
    assert mixed.trace[-1] == pytest.approx(expected, rel=1e-5)


def test_the_objective_is_that_of_weight_matching():
    program, symmetry = traced("mlp")
    a, b = lively(program, 0), lively(program, 1)
    result = match("mlp", a, b)
    applied = symmetry.apply(result.permutation, b)
    expected = sum(float((a[n].double() * applied[n].double()).sum()) for n in symmetry.layouts)
    assert result.objective == pytest.approx(expected, rel=1e-6)
    assert result.trace == pytest.approx((result.likeness_identity, result.likeness), abs=1e-6)
    assert (result.method, result.mixture, result.samples) == ("activation", 1.0, 60)


@pytest.mark.parametrize("statistic", STATISTICS)
def test_a_model_matched_with_itself_is_the_identity_dead_and_constant_units_included(statistic):
    program, _ = traced("wide-mlp")
    a = weights(program, 0)
    for key in ("0.weight", "0.bias"):
        a[key][5:40] = 0  # dead
        a[key][50] = a[key][51]  # twins
    a["0.weight"][60:70] = 0  # constant
    result = match("wide-mlp", a, a, statistic=statistic)
    assert result.permutation.is_identity
    zero = {key: torch.zeros_like(tensor) for key, tensor in a.items()}
    assert match("wide-mlp", zero, zero, statistic=statistic).permutation.is_identity


def test_one_seed_gives_one_result():
    program, _ = traced("resnet-3x3")
    a, b = lively(program, 0), lively(program, 1)
    state = torch.get_rng_state()
    one, two = (match("resnet-3x3", a, b, seed=4, mixture=0.5) for _ in range(2))
    assert one.permutation == two.permutation
    assert (one.trace, one.likeness) == (two.trace, two.likeness)
    assert torch.equal(torch.get_rng_state(), state)


def test_float64_models_are_taken_as_they_are():
    program, symmetry = traced("mlp")
    a = {key: tensor.double() for key, tensor in lively(program, 0).items()}
    planted = symmetry.random(torch.Generator().manual_seed(0))
    result = match("mlp", a, symmetry.apply(planted, a))
    assert result.permutation == planted.inverse()


def small(module: nn.Module, inputs: Tensor) -> tuple[Program, Symmetry]:
    program = capture(module.eval(), inputs)
    return program, derive_symmetry(program)


def test_a_model_without_groups_says_so():
    program, symmetry = small(nn.Sequential(nn.Linear(3, 1), nn.ReLU()), torch.zeros(2, 3))
    params = weights(program, 0)
    result = match_activations(program, symmetry, params, params, torch.zeros(4, 3))
    assert (result.stop_reason, len(result.permutation)) == (StopReason.NO_SYMMETRY, 0)
    assert (result.likeness, result.objective) == (0, 0)


def test_a_one_unit_layer_beside_others():
    layers = (nn.Linear(3, 6), nn.Tanh(), nn.Linear(6, 1), nn.Tanh(), nn.Linear(1, 2))
    program, symmetry = small(nn.Sequential(*layers), torch.zeros(2, 3))
    a = weights(program, 0)
    planted = symmetry.random(torch.Generator().manual_seed(0))
    inputs = torch.randn(30, 3, generator=torch.Generator().manual_seed(1))
    result = match_activations(program, symmetry, a, symmetry.apply(planted, a), inputs)
    assert result.permutation == planted.inverse()


def low_rank() -> tuple[Program, Symmetry]:
    shapes = {"down": (5, 3), "up": (3, 2)}
    program = program_of(Tiny(lambda p, x: x @ (p.down @ p.up), shapes), (5,))
    return program, derive_symmetry(program)


def test_a_group_that_nothing_shows_is_refused_but_can_be_mixed():
    program, symmetry = low_rank()
    a = weights(program, 0)
    with pytest.raises(MatchingError, match="no layer reads values that show the units of down"):
        match_activations(program, symmetry, a, a, torch.zeros(4, 5))
    planted = symmetry.random(torch.Generator().manual_seed(0))
    b = symmetry.apply(planted, a)
    result = match_activations(program, symmetry, a, b, torch.zeros(4, 5), mixture=0.5)
    assert result.permutation == planted.inverse()


def test_another_model_s_symmetry_is_refused():
    program, _ = low_rank()
    _, other = traced("mlp")
    a = weights(traced("mlp")[0], 0)
    with pytest.raises(MatchingError, match="was not derived from this model"):
        match_activations(program, other, a, a, torch.zeros(4, 5))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"statistic": "cosine"}, "statistic is one of inner_product, correlation, not 'cosine'"),
        ({"mixture": 0}, "mixture must be above 0 and at most 1, not 0"),
        ({"samples": 0}, "needs at least one sample"),
    ],
)
def test_what_makes_no_sense_is_refused(options, message):
    a = weights(traced("mlp")[0], 0)
    with pytest.raises(MatchingError, match=message):
        match("mlp", a, a, **options)


def test_batches_of_nothing_are_refused():
    a = weights(traced("mlp")[0], 0)
    with pytest.raises(MatchingError, match="batch_size must be at least 1, not 0"):
        match_activations(*traced("mlp"), a, a, BY_NAME["mlp"].inputs(3), batch_size=0)


def test_sums_that_would_not_fit_are_refused_before_they_are_made(monkeypatch):
    monkeypatch.setattr(activation_matching, "MOST_STATISTICS_BYTES", 500)
    a = weights(traced("mlp")[0], 0)
    with pytest.raises(MatchingError, match="GiB of sums over pairs of units, more than 0 GiB"):
        match("mlp", a, a)


@pytest.mark.parametrize("name", ["a", "b"])
def test_nan_is_refused(name):
    models = {key: weights(traced("mlp")[0], 0) for key in ("a", "b")}
    models[name]["1.bias"][2] = float("nan")
    with pytest.raises(NonFiniteError, match=rf"^{name} holds NaN or infinite values in 1\.bias"):
        match("mlp", models["a"], models["b"])


def test_cancelling_while_reading_returns_the_identity():
    program, _ = traced("mlp")
    told: list[tuple[int, int]] = []
    result = match(
        "mlp",
        lively(program, 0),
        lively(program, 1),
        progress=lambda done, total: told.append((done, total)),
        should_stop=lambda: len(told) == 2,
    )
    assert told == [(25, 60), (50, 60)]
    assert result.stop_reason is StopReason.CANCELLED
    assert result.permutation.is_identity
    assert result.objective == result.objective_identity


def test_models_are_left_alone():
    program, _ = traced("resnet-a")
    a = {key: tensor.requires_grad_() for key, tensor in lively(program, 0).items()}
    before = {key: tensor.detach().clone() for key, tensor in a.items()}
    result = match("resnet-a", a, a)
    assert not any(p.requires_grad or p.is_inference() for p in result.permutation.values())
    assert all(torch.equal(tensor.detach(), before[key]) for key, tensor in a.items())
