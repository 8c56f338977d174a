"""Nested groups in matching: planted permutations, brute force over wreath products."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from engine.errors import MatchingError
from engine.matching import Problem, StopReason, coordinate_descent, lap, match_weights
from engine.matching.visit import Visit
from engine.program import Program, capture
from engine.symmetry import Symmetry, derive, derive_symmetry
from engine.symmetry.nesting import Nesting
from tests.matching import hand
from tests.matching.nested_hand import SYMMETRIES, all_permutations
from tests.matching.nested_nets import NETS


@cache
def traced(name: str) -> tuple[Program, Symmetry]:
    build, inputs = NETS[name]
    torch.manual_seed(0)
    program = capture(build().eval(), inputs)
    return program, derive_symmetry(program)


def weights(program: Program, seed: int, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """Draw parameters that look trained: normal, every unit different."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(spec.shape, generator=generator).to(dtype)
        for name, spec in program.parameters.items()
    }


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# --- planted permutations ------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", NETS)
def test_a_planted_nested_permutation_is_recovered_exactly(name, seed):
    program, symmetry = traced(name)
    a = weights(program, seed)
    planted = symmetry.random(generator(seed))
    assert any(group.within for group in symmetry.groups)
    b = symmetry.apply(planted, a)
    result = match_weights(program, symmetry, a, b, seed=seed)
    assert result.permutation == planted.inverse()
    back = symmetry.apply(result.permutation, b)
    assert all(torch.equal(back[key], a[key]) for key in a)


@pytest.mark.parametrize("name", NETS)
def test_without_nesting_it_cannot_be_recovered(monkeypatch, name):
    program, symmetry = traced(name)
    a = weights(program, 0)
    b = symmetry.apply(symmetry.random(generator(0)), a)
    monkeypatch.setattr(derive, "find_nesting", lambda *_: Nesting({}, {}))
    shared = derive_symmetry(program)
    assert shared.log10_copies < symmetry.log10_copies
    result = match_weights(program, shared, a, b, restarts=4)
    back = shared.apply(result.permutation, b)
    whole = match_weights(program, symmetry, a, a).objective
    assert not all(torch.equal(back[key], a[key]) for key in a)
    assert result.objective < 0.995 * whole
    assert match_weights(program, symmetry, a, b).objective == pytest.approx(whole, rel=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("name", NETS)
def test_a_model_matched_with_itself_is_the_identity(name, dtype):
    program, symmetry = traced(name)
    a = weights(program, 3, dtype)
    result = match_weights(program, symmetry, a, a)
    assert result.permutation.is_identity
    assert result.objective == result.objective_identity


@pytest.mark.parametrize("name", NETS)
def test_two_different_models_rise_without_falling_to_a_stop(name):
    program, symmetry = traced(name)
    a, b = weights(program, 0), weights(program, 1)
    result = match_weights(program, symmetry, a, b, restarts=2)
    assert all(later >= earlier for earlier, later in pairwise(result.trace))
    assert result.trace[-1] == pytest.approx(result.objective, rel=1e-5)
    assert result.stop_reason is StopReason.CONVERGED
    assert result.objective > result.objective_identity
    again = match_weights(program, symmetry, a, b, restarts=2)
    assert (again.permutation, again.trace) == (result.permutation, result.trace)
    moved = symmetry.apply(result.permutation, b)
    names = [n for n in symmetry.layouts if n not in program.statistics_names]
    expected = sum(float((a[n].double() * moved[n].double()).sum()) for n in names)
    assert result.objective == pytest.approx(expected, rel=1e-6)


def test_equal_heads_and_dead_units_stay_in_their_places():
    program, symmetry = traced("vit")
    a = weights(program, 0)
    for key in ("blocks.0.attn.qkv.weight", "blocks.0.attn.qkv.bias"):
        a[key][8:16] = a[key][:8]  # two heads with the same queries
        a[key][64:66] = 0  # dead values
    out = a["blocks.0.attn.out.weight"]
    out[:, :2] = 0
    assert match_weights(program, symmetry, a, a).permutation.is_identity


# --- small symmetries by hand, against brute force ------------------------------------------


def problem_of(name: str, seed: int, dtype: torch.dtype = torch.float64) -> Problem:
    symmetry = SYMMETRIES[name]
    a, b = (hand.draw(symmetry, 2 * seed + k, dtype) for k in range(2))
    return Problem(symmetry, a, b)


@pytest.mark.parametrize("name", SYMMETRIES)
def test_the_objective_agrees_with_the_symmetry_s_own_apply(name):
    symmetry = SYMMETRIES[name]
    a, b = hand.draw(symmetry, 0), hand.draw(symmetry, 1)
    problem = Problem(symmetry, a, b)
    for seed in range(5):
        permutation = symmetry.random(generator(seed))
        applied = symmetry.apply(permutation, b)
        expected = sum(float((a[key] * applied[key]).sum()) for key in a)
        assert problem.objective(dict(permutation)) == pytest.approx(expected, rel=1e-12)
        drawn = problem.random(generator(seed))
        assert all(torch.equal(drawn[key], permutation[key]) for key in permutation)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", ["attention", "experts", "fixed experts"])
def test_one_visit_finds_the_best_of_the_whole_wreath_product(name, seed):
    problem = problem_of(name, seed)
    visit = Visit(problem, lap.fastest)
    perms = problem.random(generator(seed))
    for head, family in problem.families.items():
        gain, better = visit.end(head, perms, visit.begin(head, perms))
        best = max(
            problem.objective({**perms, **other})
            for other in all_permutations(problem, *family.groups)
        )
        before = problem.objective(perms)
        assert problem.objective({**perms, **better}) == pytest.approx(best, rel=1e-12)
        assert gain == pytest.approx(best - before, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("name", SYMMETRIES)
def test_the_best_of_many_starts_is_the_global_optimum(name):
    problem = problem_of(name, 1)
    best = max(problem.objective(perms) for perms in all_permutations(problem))
    draws = generator(0)
    reached = max(
        problem.objective(coordinate_descent(problem, problem.random(draws), draws).perms)
        for _ in range(30)
    )
    assert reached == pytest.approx(best, rel=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", SYMMETRIES)
def test_the_objective_never_falls_and_the_trace_tells_the_truth(name, dtype):
    for seed in range(6):
        problem = problem_of(name, seed, dtype)
        result = coordinate_descent(problem, problem.random(generator(seed)), generator(seed))
        assert all(later >= earlier for earlier, later in pairwise(result.trace))
        assert result.trace[-1] == pytest.approx(problem.objective(result.perms), rel=1e-4)
        assert result.stop_reason is StopReason.CONVERGED


def test_blocks_and_neighbours():
    attention, experts = problem_of("attention", 0), problem_of("fixed experts", 0)
    assert dict(attention.blocks) == {"head": ("head", "score", "value")}
    assert (dict(attention.sites), dict(attention.neighbours)) == ({}, {"head": frozenset()})
    assert dict(experts.blocks) == {"unit": ("unit",), "stream": ("stream",)}
    assert experts.neighbours == {"unit": {"stream"}, "stream": {"unit"}}
    assert problem_of("grouped stream", 0).neighbours == {"group": {"group"}}


def test_a_nested_group_is_cancelled_and_restarted_like_any_other():
    problem = problem_of("experts", 0)
    result = coordinate_descent(problem, problem.identity(), generator(0), should_stop=lambda: True)
    assert result.stop_reason is StopReason.CANCELLED
    assert all(torch.equal(p, problem.identity()[name]) for name, p in result.perms.items())


def test_weights_too_large_to_multiply_are_refused_by_family():
    symmetry = SYMMETRIES["attention"]
    a = {name: torch.full(shape, 1e30) for name, shape in symmetry.shapes.items()}
    problem = Problem(symmetry, a, a)
    with pytest.raises(MatchingError, match="the matching cost of head is not finite"):
        coordinate_descent(problem, problem.identity(), generator(0))
