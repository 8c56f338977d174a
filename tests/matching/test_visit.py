"""Blocks that do not touch are solved beside each other, and nothing else changes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import torch
from torch import nn

from engine.errors import MatchingError
from engine.matching import coordinate_descent, lap
from engine.matching.descent import Climber
from engine.matching.problem import Problem
from engine.matching.visit import Costs, Visit
from engine.program import capture
from engine.symmetry import derive_symmetry
from tests.matching import hand
from tests.matching.test_descent import SYMMETRIES, generator, problem_of
from tests.matching.test_weight_matching import BY_NAME, traced, weights


def long_problem() -> Problem:
    """Return the problem of a perceptron with seven hidden layers, so that many do not touch."""
    layers = [nn.Linear(5, 12)]
    for _ in range(6):
        layers += [nn.ReLU(), nn.Linear(12, 12)]
    program = capture(nn.Sequential(*layers, nn.ReLU(), nn.Linear(12, 3)), torch.zeros(2, 5))
    symmetry = derive_symmetry(program)
    return Problem(symmetry, weights(program, 0), weights(program, 1))


def one_after_the_other(problem: Problem, seed: int) -> tuple[dict, list[float]]:
    """Return what coordinate descent finds block by block, as algorithm 1 has it."""
    perms, blocks, draws = problem.identity(), tuple(problem.blocks), generator(seed)
    visit, stale, trace = Visit(problem, lap.fastest), set(blocks), []
    while True:
        gained = 0.0
        for place in torch.randperm(len(blocks), generator=draws).tolist():
            if (block := blocks[place]) in stale:
                stale.discard(block)
                gain, better = visit.end(block, perms, visit.begin(block, perms))
                perms |= better
                gained += gain
                stale |= problem.neighbours[block] if better else set()
        trace.append(gained)
        if not stale or not gained:
            return perms, trace


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", [*SYMMETRIES, "long", "wide-resnet"])
def test_together_is_bit_for_bit_one_after_the_other(name, threads):
    if name == "long":
        problem = long_problem()
    elif name in BY_NAME:
        program, symmetry = traced(name)
        problem = Problem(symmetry, weights(program, 0), weights(program, 1))
    else:
        problem = problem_of(name, 2)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        found = coordinate_descent(problem, problem.identity(), generator(3))
    finally:
        torch.set_num_threads(before)
    perms, gains = one_after_the_other(problem, 3)
    assert all(torch.equal(found.perms[group], perms[group]) for group in perms)
    assert found.trace == pytest.approx(
        [sum(gains[:k], found.trace[0]) for k in range(len(gains) + 1)], abs=0
    )


def test_two_assignments_are_solved_at_the_same_time():
    """Each solver waits until the other has begun: alone, neither would ever end."""
    problem, meeting = long_problem(), Barrier(2, timeout=20)

    def meets(cost):
        meeting.wait()
        return lap.fastest(cost)

    with ThreadPoolExecutor(2) as pool:
        visit, perms = Visit(problem, meets, pool), problem.identity()
        first, *_, last = problem.blocks
        begun = [(block, visit.begin(block, perms)) for block in (first, last)]
        gains = [visit.end(block, perms, solving)[0] for block, solving in begun]
    assert all(gain > 0 for gain in gains)


def test_blocks_that_share_a_parameter_are_never_together():
    problem, seen = long_problem(), []
    with Climber(problem) as climber:
        order, place = list(problem.blocks), 0
        while place < len(order):
            together, place = climber.independent(order, place, set(order))
            seen += together
            assert not any(one in problem.neighbours[two] for one in together for two in together)
        assert seen == order
        assert climber.independent(order[::2], 0, set(order)) == (order[::2], len(order[::2]))


def test_a_descent_from_what_may_gain_visits_nothing_else():
    problem = long_problem()
    optimum = coordinate_descent(problem, problem.identity(), generator()).perms
    with Climber(problem) as climber:
        again = climber.climb(optimum, generator(), 0.0, stale=())
    assert again.perms == optimum and again.trace == (0.0, 0.0)


def test_kept_costs_equal_fresh_ones():
    problem = problem_of("mixed", 0)
    costs, draws = Costs(problem), generator(4)
    for _ in range(4):
        perms = problem.random(draws)
        torch.testing.assert_close(costs.of("g", perms), problem.cost("g", perms))
        torch.testing.assert_close(costs.kept("g"), problem.cost("g", perms))


@pytest.mark.parametrize("threads", [1, 2])
def test_a_cost_that_is_not_finite_is_refused_by_name(threads):
    symmetry = hand.mlp_symmetry(3, 5, 4, 2)
    a = {name: tensor * 1e30 for name, tensor in hand.draw(symmetry, 0, torch.float32).items()}
    problem, before = Problem(symmetry, a, a), torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with pytest.raises(MatchingError, match="is not finite: its weights are too large"):
            coordinate_descent(problem, problem.identity(), generator())
    finally:
        torch.set_num_threads(before)
