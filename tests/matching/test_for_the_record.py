"""Greedy cosines, steepest descent, settling, and the counterexample that nothing can help."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch
from torch import nn

from engine.errors import MatchingError
from engine.matching import match_cosines, match_steepest
from engine.matching.cosine import greedy_solver
from engine.matching.problem import Problem
from engine.matching.settle import settled
from tests.matching.hand import draw, mlp_symmetry
from tests.matching.test_activation_matching import lively
from tests.matching.test_straight_through import SAMPLES, labels
from tests.matching.test_weight_matching import BY_NAME, traced


@pytest.mark.parametrize("seed", range(5))
def test_the_greedy_choice_is_that_of_a_plain_loop(seed):
    cost = np.random.default_rng(seed).standard_normal((9, 9))
    left, expected = cost.copy(), [0] * 9
    for _ in range(9):
        i, j = np.unravel_index(left.argmax(), left.shape)
        expected[int(i)] = int(j)
        left[i, :] = left[:, j] = -np.inf
    assert greedy_solver(cost).tolist() == expected
    assert greedy_solver(np.zeros((4, 4))).tolist() == [0, 1, 2, 3]


def test_cosines_do_not_see_how_large_units_are():
    program, symmetry = traced("wide-mlp")
    a = lively(program, 0)
    planted = symmetry.random(torch.Generator().manual_seed(0))
    b = symmetry.apply(planted, {**a, "0.weight": 7 * a["0.weight"], "0.bias": 7 * a["0.bias"]})
    result = match_cosines(program, symmetry, a, b)
    assert result.permutation == planted.inverse()
    assert result.trace == (result.objective_identity, result.objective)


def test_steepest_descent_goes_where_the_loss_falls():
    program, symmetry = traced("mlp")
    a, b, inputs = lively(program, 0), lively(program, 1), BY_NAME["mlp"].inputs(SAMPLES)
    result = match_steepest(program, symmetry, a, b, inputs, labels(), batch_size=40)
    leaves = {name: tensor.clone().requires_grad_() for name, tensor in a.items()}
    loss = nn.functional.cross_entropy(program(leaves, inputs), labels())
    slopes = torch.autograd.grad(loss, list(leaves.values()))
    pi_b = symmetry.apply(result.permutation, b)
    moved = set(symmetry.layouts)
    along = -sum(
        float((slope * pi_b[n]).sum()) for n, slope in zip(a, slopes, strict=True) if n in moved
    )
    length = sum(float(s.square().sum()) for n, s in zip(a, slopes, strict=True) if n in moved)
    assert result.loss == pytest.approx(float(loss.detach()), rel=1e-5)
    assert result.slope_length == pytest.approx(length**0.5, rel=1e-4)
    assert result.trace[-1] == pytest.approx(along, rel=1e-4)
    assert result.trace[-1] > result.trace[0]


def test_steepest_descent_refuses_what_makes_no_sense():
    program, symmetry = traced("mlp")
    a, inputs = lively(program, 0), BY_NAME["mlp"].inputs(SAMPLES)
    with pytest.raises(MatchingError, match="batch_size must be at least 1, not 0"):
        match_steepest(program, symmetry, a, a, inputs, labels(), batch_size=0)
    with pytest.raises(MatchingError, match="steepest descent needs one target per sample"):
        match_steepest(program, symmetry, a, a, inputs, labels()[:2])
    inputs[:] = float("nan")
    with pytest.raises(MatchingError, match="the loss of a is nan; look at the data"):
        match_steepest(program, symmetry, a, a, inputs, labels())


def test_what_was_moved_for_nothing_is_put_back():
    symmetry = mlp_symmetry(4, 6, 5, 2)
    a, b = draw(symmetry, 0), draw(symmetry, 1)
    for name in ("w1", "b1"):
        b[name][:3] = 0
    b["w2"][:, :3] = 0
    problem = Problem(symmetry, a, b)
    found = {"first": torch.tensor([4, 2, 0, 1, 3, 5]), "second": torch.tensor([4, 1, 2, 3, 0])}
    kept = settled(problem, found)
    dead = lambda p: [int(unit) for unit in p if unit < 3]  # noqa: E731
    gained = problem.objective(kept) - problem.objective(found)
    assert gained >= -1e-9
    assert sorted(dead(kept["first"])) == [0, 1, 2]
    best = max(
        problem.objective({**found, "first": torch.tensor(p)}) for p in permutations(range(6))
    )
    start = {
        **found,
        "first": next(
            torch.tensor(p)
            for p in permutations(range(6))
            if problem.objective({**found, "first": torch.tensor(p)}) > best - 1e-9
        ),
    }
    assert problem.objective(settled(problem, start)) > best - 1e-9
