"""Coordinate descent: rises, stops at a coordinate-wise optimum, against brute force."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from engine.matching import StopReason, coordinate_descent, lap
from engine.matching.problem import Problem
from tests.matching import hand

SYMMETRIES = {
    "mlp": hand.mlp_symmetry(3, 5, 4, 2),
    "twice": hand.twice_symmetry(5),
    "mixed": hand.mixed_symmetry(),
    "scattered": hand.scattered_symmetry(),
}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def problem_of(name: str, seed: int, dtype: torch.dtype = torch.float64) -> Problem:
    symmetry = SYMMETRIES[name]
    return Problem(
        symmetry, hand.draw(symmetry, 2 * seed, dtype), hand.draw(symmetry, 2 * seed + 1, dtype)
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", SYMMETRIES)
def test_the_objective_never_falls_and_the_trace_tells_the_truth(name, seed, dtype):
    problem = problem_of(name, seed, dtype)
    result = coordinate_descent(problem, problem.random(generator(seed)), generator(seed))
    assert all(later >= earlier for earlier, later in pairwise(result.trace))
    assert result.trace[-1] == pytest.approx(problem.objective(result.perms), rel=1e-5)
    assert result.stop_reason is StopReason.CONVERGED


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("name", ["mlp", "mixed"])
def test_no_single_group_can_do_better_by_brute_force(name, seed):
    problem = problem_of(name, seed)
    result = coordinate_descent(problem, problem.identity(), generator(seed))
    reached = problem.objective(result.perms)
    for other in hand.all_permutations(problem):
        changed = [g for g in other if not torch.equal(other[g], result.perms[g])]
        quadratic = any(g in problem.neighbours[g] for g in changed)
        if len(changed) == 1 and not quadratic:
            assert problem.objective(other) <= reached + 1e-9


@pytest.mark.parametrize("name", SYMMETRIES)
def test_the_best_of_many_starts_is_the_global_optimum(name):
    problem = problem_of(name, 1)
    best = max(problem.objective(perms) for perms in hand.all_permutations(problem))
    draws = generator(0)
    reached = max(
        problem.objective(coordinate_descent(problem, problem.random(draws), draws).perms)
        for _ in range(60)
    )
    assert reached == pytest.approx(best, rel=1e-12)


def test_a_planted_permutation_of_a_group_on_two_axes_is_recovered():
    symmetry = hand.twice_symmetry(24)
    a = hand.draw(symmetry, 0)
    a["in"] *= 4  # else every start but one is lost: the quadratic term alone is hard
    planted = symmetry.random(generator(1))
    problem = Problem(symmetry, a, symmetry.apply(planted, a))
    result = coordinate_descent(problem, problem.identity(), generator(0))
    assert torch.equal(planted["stream"][result.perms["stream"]], torch.arange(24))


def test_a_proposal_that_lowers_a_quadratic_objective_is_refused():
    problem = problem_of("twice", 0)
    refused = 0
    for seed in range(20):
        start = problem.random(generator(seed))
        proposed = lap.solve(problem.cost("stream", start), "stream")
        result = coordinate_descent(problem, start, generator(0), max_sweeps=1)
        lower = problem.objective({"stream": proposed}) < problem.objective(start)
        refused += lower
        if lower:
            assert torch.equal(result.perms["stream"], start["stream"])
    assert refused  # else this test shows nothing


def test_a_group_is_solved_again_only_after_a_neighbour_changed():
    problem, solved = problem_of("mlp", 0), 0

    def counting(cost):
        nonlocal solved
        solved += 1
        return lap.fastest(cost)

    optimum = coordinate_descent(problem, problem.identity(), generator(0)).perms
    again = coordinate_descent(problem, optimum, generator(0), solver=counting)
    assert (solved, again.sweeps) == (2, 1)
    assert all(again.perms[group] is optimum[group] for group in optimum)


def test_the_sweep_limit_is_a_stop_reason():
    problem = problem_of("mixed", 0)
    result = coordinate_descent(problem, problem.identity(), generator(0), max_sweeps=1)
    assert (result.stop_reason, result.sweeps) == (StopReason.MAX_SWEEPS, 1)


def test_progress_is_told_each_sweep():
    told: list[tuple[int, float]] = []
    problem = problem_of("mlp", 0)
    result = coordinate_descent(
        problem, problem.identity(), generator(0), progress=lambda *args: told.append(args)
    )
    assert told == list(enumerate(result.trace))[1:]


def test_cancelling_keeps_the_permutation_so_far():
    problem, asked = problem_of("mlp", 0), 0

    def second_time() -> bool:
        nonlocal asked
        asked += 1
        return asked == 2

    result = coordinate_descent(problem, problem.identity(), generator(0), should_stop=second_time)
    assert result.stop_reason is StopReason.CANCELLED
    moved = [g for g, p in result.perms.items() if not torch.equal(p, torch.arange(len(p)))]
    assert len(moved) == 1
    assert result.trace[-1] == pytest.approx(problem.objective(result.perms))
    assert result.trace[-1] > result.trace[0]
