"""Escapes: never lower, at a coordinate-wise optimum, up to the best there is on small problems."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from engine.errors import MatchingError
from engine.matching import StopReason, coordinate_descent, match_weights
from engine.matching.descent import Climber
from engine.matching.escape import SHARE, escaped, shuffled
from engine.matching.problem import Problem
from tests.matching import hand
from tests.matching.test_descent import SYMMETRIES, generator, problem_of
from tests.matching.test_every_method import nested
from tests.matching.test_weight_matching import traced, weights


def escape(problem: Problem, escapes: int, seed: int = 0, **more):
    found = coordinate_descent(problem, problem.identity(), generator(seed))
    with Climber(problem, **more) as climber:
        return found, escaped(problem, found, generator(seed), escapes, climber=climber)


@pytest.mark.parametrize("name", SYMMETRIES)
def test_the_best_there_is_by_brute_force(name):
    problem = problem_of(name, 1)
    best = max(problem.objective(perms) for perms in hand.all_permutations(problem))
    _, found = escape(problem, 60)
    assert problem.objective(found.perms) == pytest.approx(best, rel=1e-12)


def test_the_trace_goes_on_and_never_falls():
    problem = problem_of("mixed", 3)
    found, best = escape(problem, 8)
    assert best.trace[: len(found.trace)] == found.trace
    assert len(best.trace) == len(found.trace) + 8
    assert all(later >= earlier for earlier, later in pairwise(best.trace))
    assert best.trace[-1] == pytest.approx(problem.objective(best.perms))
    assert best.stop_reason is StopReason.ALL_STEPS


@pytest.mark.parametrize("name", ["wide-mlp", "wide-resnet"])
def test_more_is_found_than_without(name):
    program, symmetry = traced(name)
    a, b = weights(program, 0), weights(program, 1)
    without, with_them, again = (
        match_weights(program, symmetry, a, b, escapes=number) for number in (0, 30, 30)
    )
    assert with_them.objective > 1.002 * without.objective
    assert with_them.restarts == without.restarts
    assert with_them.permutation == again.permutation and with_them.trace == again.trace
    assert with_them.sweeps == without.sweeps + 30


def test_nested_groups_escape_as_well():
    program, symmetry = nested("vit")
    a, b = weights(program, 0), weights(program, 1)
    without = match_weights(program, symmetry, a, b)
    found = match_weights(program, symmetry, a, b, escapes=10)
    assert found.objective >= without.objective
    back = symmetry.apply(found.permutation, b)
    inner = sum(float((a[n].double() * back[n].double()).sum()) for n in symmetry.layouts)
    assert found.objective == pytest.approx(inner, rel=1e-5)


def test_a_share_of_the_units_is_shuffled_and_nested_ones_in_one_row():
    p = torch.randperm(50, generator=generator(1))
    other = shuffled(p, generator(2))
    assert torch.equal(other.sort().values, torch.arange(50))
    assert 0 < int((other != p).sum()) <= round(SHARE * 50)
    rows = torch.stack([torch.randperm(6, generator=generator(k)) for k in range(4)])
    other = shuffled(rows, generator(5))
    assert torch.equal(other.sort().values, torch.arange(6).expand(4, 6))
    assert int((other != rows).any(1).sum()) <= 1


def test_two_units_never_stay_as_they_were():
    p = torch.tensor([1, 0])
    assert all(not torch.equal(shuffled(p, generator(seed)), p) for seed in range(20))


def test_the_most_sweeps_hold_after_each_disturbance(monkeypatch):
    problem = problem_of("mixed", 3)
    asked = []
    climb = Climber.climb

    def told(self, *given, **more):
        asked.append(more["max_sweeps"])
        return climb(self, *given, **more)

    found = coordinate_descent(problem, problem.identity(), generator(0))
    monkeypatch.setattr(Climber, "climb", told)
    with Climber(problem) as climber:
        escaped(problem, found, generator(0), 3, climber=climber, max_sweeps=2)
    assert asked == [2, 2, 2]


def test_cancelling_keeps_the_best_so_far():
    problem, asked = problem_of("mixed", 3), 0

    def soon() -> bool:
        nonlocal asked
        asked += 1
        return asked > 5

    found, best = escape(problem, 50, should_stop=soon)
    assert best.stop_reason is StopReason.CANCELLED
    assert problem.objective(best.perms) >= problem.objective(found.perms)
    assert len(best.trace) < 50


def test_without_a_group_of_two_units_there_is_nothing_to_disturb():
    symmetry = hand.mlp_symmetry(3, 1, 1, 2)
    problem = Problem(symmetry, hand.draw(symmetry, 0), hand.draw(symmetry, 1))
    found, best = escape(problem, 5)
    assert best == found


def test_fewer_than_no_escapes_are_refused():
    program, symmetry = traced("wide-mlp")
    a = weights(program, 0)
    with pytest.raises(MatchingError, match="escapes must be at least 0, not -1"):
        match_weights(program, symmetry, a, a, escapes=-1)
