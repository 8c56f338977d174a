"""The straight-through estimator: its steps against autograd, its losses, what it improves."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from engine.errors import MatchingError, NonFiniteError
from engine.matching import StopReason, StraightThroughMatch, match_weights, straight_through
from engine.matching.descent import coordinate_descent
from engine.matching.problem import Problem
from engine.program import capture
from engine.symmetry import Permutation, derive_symmetry
from tests.matching.test_activation_matching import lively
from tests.matching.test_weight_matching import BY_NAME, traced, weights

SAMPLES = 90


def labels(classes: int = 4) -> Tensor:
    return torch.arange(SAMPLES) % classes


def estimate(name: str, a: Mapping, b: Mapping, **options) -> StraightThroughMatch:
    options = {"steps": 5, "batch_size": 40, "targets": labels(), **options}
    inputs = BY_NAME[name].inputs(SAMPLES)
    return straight_through(*traced(name), a, b, inputs, **options)


def midpoint_loss(name: str, a: Mapping, b: Mapping, targets: Tensor) -> float:
    """Return the loss at ½(a + b) over all samples, computed plainly."""
    program, _ = traced(name)
    middle = {key: (a[key] + b[key]) / 2 for key in a}
    outputs = program(middle, BY_NAME[name].inputs(SAMPLES))
    return float(nn.functional.cross_entropy(outputs, targets))


@pytest.mark.parametrize("name", ["wide-mlp", "resnet-3x3", "vgg-batchnorm", "wide-resnet"])
def test_a_planted_permutation_is_recovered(name):
    program, symmetry = traced(name)
    a = lively(program, 1)
    planted = symmetry.random(torch.Generator().manual_seed(1))
    b = symmetry.apply(planted, a)
    with torch.no_grad():  # labels that a gives, so that its own weights are the best
        targets = program(a, BY_NAME[name].inputs(SAMPLES)).argmax(1)
    result = estimate(name, a, b, targets=targets, steps=3)
    assert result.permutation == planted.inverse()
    assert result.stop_reason is StopReason.ALL_STEPS


def test_the_losses_are_those_of_the_midpoints():
    program, symmetry = traced("mlp")
    a, b = lively(program, 1), lively(program, 2)
    result = estimate("mlp", a, b, steps=30, rate=2.0)
    assert (result.sweeps, len(result.losses), result.judged_on) == (30, 31, SAMPLES)
    assert result.loss_identity == pytest.approx(midpoint_loss("mlp", a, b, labels()), rel=1e-5)
    first = match_weights(program, symmetry, a, b)
    pi_b = symmetry.apply(first.permutation, b)
    assert result.losses[0] == pytest.approx(midpoint_loss("mlp", a, pi_b, labels()), rel=1e-5)
    best = symmetry.apply(result.permutation, b)
    assert min(result.losses) == result.losses[result.best_step]
    assert min(result.losses) == pytest.approx(midpoint_loss("mlp", a, best, labels()), rel=1e-5)
    assert min(result.losses) < result.losses[0]  # for these seeds: better than weight matching
    assert result.trace[-1] == result.objective
    assert result.method == "ste"


def matched_from_here(program, symmetry, a, b) -> Permutation:
    """Return what weight matching finds from the identity."""
    problem = Problem(symmetry, a, b, exclude=program.statistics_names)
    generator = torch.Generator().manual_seed(0)
    found = coordinate_descent(problem, problem.identity(), generator, max_sweeps=100)
    return Permutation(found.perms, symmetry.within)


def test_a_step_is_that_of_the_definition():
    """One step of SGD by the textbook: B̃ + (π(B) − B̃).detach(), differentiated by autograd."""
    program, symmetry = traced("mlp")
    a, b = lively(program, 19), lively(program, 20)
    rate, inputs = 5.0, BY_NAME["mlp"].inputs(SAMPLES)
    free = {key: tensor.clone().requires_grad_() for key, tensor in a.items()}
    found = [match_weights(program, symmetry, a, b).permutation]
    speed = {key: torch.zeros_like(tensor) for key, tensor in a.items()}
    for _ in range(4):
        pi_b = symmetry.apply(found[-1], b)
        through = {key: free[key] + (pi_b[key] - free[key]).detach() for key in a}
        middle = {key: (a[key] + through[key]) / 2 for key in a}
        loss = nn.functional.cross_entropy(program(middle, inputs), labels())
        slopes = torch.autograd.grad(loss, list(free.values()))
        for key, slope in zip(free, slopes, strict=True):
            speed[key] = 0.9 * speed[key] + slope
            free[key] = (free[key] - rate * speed[key]).detach().requires_grad_()
        target = {key: tensor.detach() for key, tensor in free.items()}
        # For these two models every order of visits ends at the same permutation.
        warm = matched_from_here(program, symmetry, target, symmetry.apply(found[-1], b))
        found.append(warm.compose(found[-1]))
    expected = [
        midpoint_loss("mlp", a, symmetry.apply(permutation, b), labels()) for permutation in found
    ]
    result = estimate("mlp", a, b, steps=4, rate=rate, batch_size=SAMPLES)
    assert result.losses == pytest.approx(expected, rel=1e-5)
    assert len(set(expected)) > 1


def test_batchnorms_are_judged_by_their_batch():
    program, _ = traced("vgg-batchnorm")
    a, b = lively(program, 1), lively(program, 2)
    other = {k: t + 50 * (k in program.statistics_names) for k, t in b.items()}
    one, two = (
        estimate("vgg-batchnorm", a, model, steps=2, targets=labels(3)) for model in (b, other)
    )
    assert one.losses == two.losses


def test_one_seed_gives_one_result_and_models_are_left_alone():
    program, _ = traced("mlp")
    a, b = lively(program, 0), lively(program, 1)
    before = {key: tensor.clone() for key, tensor in (a | b).items()}
    state = torch.get_rng_state()
    one, two = (estimate("mlp", a, b, seed=3, steps=8, judged_on=50) for _ in range(2))
    assert one.permutation == two.permutation
    assert (one.losses, one.trace, one.judged_on) == (two.losses, two.trace, 50)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(tensor, before[key]) for key, tensor in (a | b).items())
    assert not any(p.is_inference() for p in one.permutation.values())


def test_dead_units_and_zero_models_are_taken():
    program, _ = traced("wide-mlp")
    a = weights(program, 0)
    a["0.weight"][5:40] = 0
    a["0.bias"][5:40] = 0
    assert estimate("wide-mlp", a, a, steps=2).permutation.is_identity
    zero = {key: torch.zeros_like(tensor) for key, tensor in a.items()}
    assert estimate("wide-mlp", zero, zero, steps=1).permutation.is_identity


def test_regressions_and_tokens_have_their_losses():
    module = nn.Sequential(nn.Linear(3, 6), nn.Tanh(), nn.Linear(6, 2)).eval()
    program = capture(module, torch.zeros(2, 5, 3))
    pair = (program, derive_symmetry(program), lively(program, 0), lively(program, 1))
    inputs = torch.randn(12, 5, 3, generator=torch.Generator().manual_seed(0))
    values = torch.randn(12, 5, 2, generator=torch.Generator().manual_seed(1))
    result = straight_through(*pair, inputs, values, steps=2, batch_size=5)
    middle = {key: (pair[2][key] + pair[3][key]) / 2 for key in pair[2]}
    outputs = program(middle, inputs)
    expected = float((outputs - values).square().mean())
    assert result.loss_identity == pytest.approx(expected, rel=1e-5)
    tokens = torch.randint(0, 2, (12, 5), generator=torch.Generator().manual_seed(1))
    tokens[:, 0] = -100
    result = straight_through(*pair, inputs, tokens, steps=2, batch_size=6)
    expected = float(nn.functional.cross_entropy(outputs.flatten(0, 1), tokens.flatten()))
    assert result.loss_identity == pytest.approx(expected, rel=1e-5)


def test_cancelling_keeps_the_best_so_far():
    program, _ = traced("mlp")
    told: list[int] = []
    result = estimate(
        "mlp",
        lively(program, 0),
        lively(program, 1),
        steps=50,
        progress=lambda step, loss: told.append(step),
        should_stop=lambda: len(told) == 3,
    )
    assert told == [1, 2, 3]
    assert result.stop_reason is StopReason.CANCELLED
    assert not result.permutation.is_identity
    at_once = estimate("mlp", lively(program, 0), lively(program, 1), should_stop=lambda: True)
    assert at_once.stop_reason is StopReason.CANCELLED
    assert at_once.permutation.is_identity


def test_a_model_without_groups_says_so():
    program = capture(nn.Sequential(nn.Linear(3, 2)).eval(), torch.zeros(2, 3))
    params = weights(program, 0)
    inputs, targets = torch.zeros(4, 3), torch.zeros(4, dtype=torch.int64)
    symmetry = derive_symmetry(program)
    result = straight_through(program, symmetry, params, params, inputs, targets)
    assert (result.stop_reason, result.sweeps) == (StopReason.NO_SYMMETRY, 0)


@pytest.mark.parametrize("option", ["steps", "batch_size", "judged_on", "max_sweeps"])
def test_options_below_one_are_refused(option):
    a = weights(traced("mlp")[0], 0)
    with pytest.raises(MatchingError, match=f"{option} must be at least 1, not 0"):
        estimate("mlp", a, a, **{option: 0})


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (labels()[:5], "one target per sample.*there are 90 inputs and 5 targets"),
        (labels(5), "the targets run from 0 to 4, but the model has 4 outputs"),
        (labels() - 1, "the targets run from -1 to 2, but the model has 4 outputs"),
        (torch.zeros(SAMPLES, 3), r"floating-point targets of shape \[N, 3\]"),
    ],
)
def test_targets_that_do_not_fit_are_refused(targets, message):
    a = weights(traced("mlp")[0], 0)
    with pytest.raises(MatchingError, match=message):
        estimate("mlp", a, a, targets=targets)


def test_what_is_not_finite_is_refused():
    program, _ = traced("mlp")
    a, b = weights(program, 0), weights(program, 1)
    b["1.bias"][2] = float("nan")
    with pytest.raises(NonFiniteError, match=r"^b holds NaN or infinite values in 1\.bias"):
        estimate("mlp", a, b)
    values = BY_NAME["mlp"].inputs(SAMPLES)
    values[0] = float("nan")
    with pytest.raises(MatchingError, match="the midpoint's loss is NaN"):
        straight_through(*traced("mlp"), a, a, values, labels())
