"""Weight matching on real Programs: planted permutations, identity, degenerate units, options."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from engine.errors import MatchingError, NonFiniteError
from engine.matching import MatchResult, StopReason, match_weights
from engine.program import Program, capture
from engine.symmetry import Symmetry, derive_symmetry
from tests.models import MODELS, Block, Model

NAMES = [model.name for model in MODELS]


def wide_mlp() -> nn.Module:
    return nn.Sequential(
        nn.Linear(20, 96), nn.ReLU(), nn.Linear(96, 80), nn.ReLU(), nn.Linear(80, 10)
    )


def wide_resnet() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 24, 3, padding=1),
        Block(24, 24, 1, "batch", "B"),
        Block(24, 32, 2, "batch", "B"),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, 10),
    )


WIDE = (
    Model("wide-mlp", wide_mlp, (20,), (96, 80)),
    Model("wide-resnet", wide_resnet, (3, 8, 8), (24, 24, 32, 32)),
)
BY_NAME = {model.name: model for model in (*MODELS, *WIDE)}


@cache
def traced(name: str) -> tuple[Program, Symmetry]:
    model = BY_NAME[name]
    program = capture(model.module(), model.inputs())
    return program, derive_symmetry(program)


def weights(program: Program, seed: int, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """Draw parameters that look trained: normal, every unit different."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(spec.shape, generator=generator).to(dtype)
        for name, spec in program.parameters.items()
    }


def match(name: str, a: Mapping, b: Mapping, **options) -> MatchResult:
    return match_weights(*traced(name), a, b, **options)


@pytest.mark.parametrize("name", [model.name for model in WIDE])
@pytest.mark.parametrize("seed", range(3))
def test_a_planted_permutation_is_recovered_from_the_identity(name, seed):
    program, symmetry = traced(name)
    a = weights(program, seed)
    planted = symmetry.random(torch.Generator().manual_seed(seed))
    result = match(name, a, symmetry.apply(planted, a))
    assert result.permutation == planted.inverse()
    assert result.stop_reason is StopReason.CONVERGED


@pytest.mark.parametrize("name", NAMES)
def test_a_planted_permutation_is_recovered_in_every_model(name):
    # Three to six units per layer are few enough for local optima: hence the restarts.
    program, symmetry = traced(name)
    a = weights(program, 1)
    planted = symmetry.random(torch.Generator().manual_seed(0))
    b = symmetry.apply(planted, a)
    result = match(name, a, b, restarts=20)
    back = symmetry.apply(result.permutation, b)
    assert all(torch.equal(back[key], a[key]) for key in a)
    assert result.permutation == planted.inverse()


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("name", ["mlp", "vgg-batchnorm", "resnet-a", "wide-resnet"])
def test_a_model_matched_with_itself_is_the_identity(name, dtype):
    a = weights(traced(name)[0], 3, dtype)
    result = match(name, a, a)
    assert result.permutation.is_identity
    assert result.objective == result.objective_identity


def test_the_objective_is_the_inner_product_of_the_moved_tensors():
    program, symmetry = traced("mlp")
    a, b = weights(program, 0), weights(program, 1)
    result = match("mlp", a, b)
    names = {o.parameter for group in symmetry.groups for o in group.occurrences}
    for permutation, told in (
        (result.permutation, result.objective),
        (symmetry.identity(), result.objective_identity),
    ):
        applied = symmetry.apply(permutation, b)
        expected = sum(float((a[n].double() * applied[n].double()).sum()) for n in names)
        assert told == pytest.approx(expected, rel=1e-6)
    assert result.objective > result.objective_identity
    assert result.trace[0] >= result.objective_identity
    assert result.trace[-1] == pytest.approx(result.objective, rel=1e-6)
    assert (result.method, result.seed, result.sweeps) == ("weight", 0, len(result.trace) - 1)
    assert result.seconds > 0


def test_running_statistics_do_not_enter():
    program, _ = traced("resnet-b")
    a, b = weights(program, 0), weights(program, 1)
    other = {
        k: t + 100 * (k in program.statistics_names) * torch.rand_like(t) for k, t in b.items()
    }
    one, two = match("resnet-b", a, b), match("resnet-b", a, other)
    assert one.permutation == two.permutation
    assert one.objective == two.objective


def test_one_seed_gives_one_result_and_leaves_torch_s_own_generator_alone():
    program, _ = traced("resnet-3x3")
    a, b = weights(program, 0), weights(program, 1)
    state = torch.get_rng_state()
    one, two = (match("resnet-3x3", a, b, seed=4, restarts=3) for _ in range(2))
    assert one.permutation == two.permutation
    assert (one.trace, one.restarts) == (two.trace, two.restarts)
    assert torch.equal(torch.get_rng_state(), state)


def test_restarts_never_make_it_worse_and_the_best_one_is_returned():
    program, _ = traced("resnet-b")
    a, b = weights(program, 0), weights(program, 1)
    single, many = (match("resnet-b", a, b, restarts=n) for n in (1, 12))
    assert many.restarts[0] == single.objective
    assert many.objective == max(many.restarts)
    assert many.objective > single.objective  # for this seed
    assert len(many.restarts) == 12


def test_dead_units_duplicates_and_zero_weights_stay_in_their_places():
    program, _ = traced("wide-mlp")
    a = weights(program, 0)
    for key in ("0.weight", "0.bias"):
        a[key][5:40] = 0  # dead
        a[key][50] = a[key][51]  # twins
    a["2.weight"][:, 5:40] = 0
    a["2.weight"][:, 50] = a["2.weight"][:, 51]
    assert match("wide-mlp", a, a).permutation.is_identity
    b = {key: tensor + 0.01 * torch.randn_like(tensor) for key, tensor in a.items()}
    b["2.weight"][:, 5:40] = 0
    b["0.weight"][5:40] = 0
    b["0.bias"][5:40] = 0
    assert match("wide-mlp", a, b).permutation.is_identity


def test_zero_models_match_by_the_identity():
    program, _ = traced("resnet-a")
    zero = {key: torch.zeros_like(tensor) for key, tensor in weights(program, 0).items()}
    result = match("resnet-a", zero, zero)
    assert result.permutation.is_identity
    assert (result.objective, result.sweeps) == (0.0, 1)


def test_a_model_without_groups_says_so():
    # One unit per layer: nothing can be permuted.
    module = nn.Sequential(nn.Linear(3, 1), nn.ReLU(), nn.Linear(1, 2)).eval()
    program = capture(module, torch.zeros(2, 3))
    symmetry = derive_symmetry(program)
    params = weights(program, 0)
    result = match_weights(program, symmetry, params, params)
    assert result.stop_reason is StopReason.NO_SYMMETRY
    assert (len(result.permutation), result.sweeps, len(result.trace)) == (0, 0, 1)


def test_a_one_unit_layer_beside_others():
    module = nn.Sequential(
        nn.Linear(3, 6), nn.ReLU(), nn.Linear(6, 1), nn.ReLU(), nn.Linear(1, 2)
    ).eval()
    program = capture(module, torch.zeros(2, 3))
    symmetry = derive_symmetry(program)
    a = weights(program, 0)
    planted = symmetry.random(torch.Generator().manual_seed(0))
    result = match_weights(program, symmetry, a, symmetry.apply(planted, a))
    assert result.permutation == planted.inverse()


@pytest.mark.parametrize("name", ["a", "b"])
def test_nan_is_refused_by_name(name):
    models = {key: weights(traced("mlp")[0], 0) for key in ("a", "b")}
    models[name]["1.bias"][2] = float("nan")
    with pytest.raises(NonFiniteError, match=rf"^{name} holds NaN or infinite values in 1\.bias"):
        match("mlp", models["a"], models["b"])


def test_weights_too_large_to_multiply_are_refused_by_group():
    a = weights(traced("mlp")[0], 0)
    a["1.weight"].fill_(1e30)
    with pytest.raises(MatchingError, match="the matching cost of 1 is not finite"):
        match("mlp", a, a)


@pytest.mark.parametrize("option", ["restarts", "max_sweeps"])
def test_options_below_one_are_refused(option):
    a = weights(traced("mlp")[0], 0)
    with pytest.raises(MatchingError, match=f"{option} must be at least 1, not 0"):
        match("mlp", a, a, **{option: 0})


def test_progress_counts_the_sweeps_of_all_starts():
    program, _ = traced("resnet-b")
    told: list[int] = []
    a, b = weights(program, 0), weights(program, 1)
    match("resnet-b", a, b, restarts=3, progress=lambda sweep, objective: told.append(sweep))
    assert told == list(range(1, len(told) + 1))
    assert len(told) > 3  # more than the one sweep of a start that ends at once


def test_cancelling_in_a_restart_keeps_the_best_so_far():
    program, _ = traced("resnet-b")
    a, b = weights(program, 0), weights(program, 1)
    asked = 0

    def later() -> bool:
        nonlocal asked
        asked += 1
        return asked > 40

    result = match("resnet-b", a, b, restarts=50, should_stop=later)
    assert result.stop_reason is StopReason.CANCELLED
    assert 1 < len(result.restarts) < 50
    assert result.objective == max(result.restarts)


def test_cancelling_at_once_returns_the_identity():
    program, _ = traced("mlp")
    a, b = weights(program, 0), weights(program, 1)
    result = match("mlp", a, b, should_stop=lambda: True)
    assert result.stop_reason is StopReason.CANCELLED
    assert result.permutation.is_identity
    assert result.objective == result.objective_identity


def test_models_that_require_gradients_are_taken_and_left_alone():
    program, _ = traced("mlp")
    a = {key: tensor.requires_grad_() for key, tensor in weights(program, 0).items()}
    result = match("mlp", a, a)
    assert not any(p.requires_grad or p.is_inference() for p in result.permutation.values())
    assert all(tensor.grad is None for tensor in a.values())


def test_the_trace_never_falls_on_any_model():
    for name in NAMES:
        a, b = (weights(traced(name)[0], seed) for seed in (5, 6))
        trace = match(name, a, b).trace
        assert all(later >= earlier for earlier, later in pairwise(trace))


def test_one_more_start_is_from_activations():
    program, symmetry = traced("wide-mlp")
    a, b = weights(program, 0), weights(program, 1)
    inputs = BY_NAME["wide-mlp"].inputs(60)
    one, two = (
        match_weights(program, symmetry, a, b, inputs, also_from="activation", restarts=n)
        for n in (1, 2)
    )
    assert len(one.restarts) == 2
    assert one.restarts == two.restarts[:2]
    assert one.objective == max(one.restarts)
    plain = match("wide-mlp", a, b)
    assert one.restarts[0] == plain.objective
    assert one.restarts[1] != plain.objective


@pytest.mark.parametrize(
    ("also_from", "message"),
    [
        ("activation", "a start from activation matching needs inputs"),
        ("luck", "also_from is one of nothing, activation, not 'luck'"),
    ],
)
def test_starts_that_are_not_there_are_refused(also_from, message):
    a = weights(traced("mlp")[0], 0)
    with pytest.raises(MatchingError, match=message):
        match("mlp", a, a, also_from=also_from)
