"""The start where b is a permuted copy of a."""

from __future__ import annotations

import pytest
import torch

from engine.matching import Problem, coordinate_descent, lap
from engine.matching.copy_start import copy_start
from engine.matching.weight_matching import first_start
from engine.symmetry import Symmetry
from tests.matching import hand

DEPTH, WIDTH = 12, 4


def narrow() -> Symmetry:
    """A deep perceptron of few units per layer: from the identity there are local optima."""
    shapes = {f"w{k}": (WIDTH, WIDTH) for k in range(DEPTH)}
    return hand.symmetry(
        shapes,
        **{f"g{k}": [(k, 0, 0, 1, WIDTH, 1), (k + 1, 1, 0, 1, WIDTH, 1)] for k in range(DEPTH - 1)},
    )


def copied(seed: int, noise: float = 0.0) -> tuple[Problem, dict[str, torch.Tensor]]:
    """Return a network beside a permuted copy of itself, and what puts the copy back."""
    symmetry = narrow()
    a = hand.draw(symmetry, seed)
    planted = symmetry.random(torch.Generator().manual_seed(seed))
    moved = hand.draw(symmetry, 100 + seed)
    b = symmetry.apply(planted, {name: a[name] + noise * moved[name] for name in a})
    return Problem(symmetry, a, b), dict(planted.inverse())


def same(found: object, wanted: dict[str, torch.Tensor]) -> bool:
    return isinstance(found, dict) and all(torch.equal(found[n], p) for n, p in wanted.items())


@pytest.mark.parametrize("seed", range(5))
def test_a_copy_is_put_back_by_the_start_alone(seed):
    problem, wanted = copied(seed)
    assert same(copy_start(problem), wanted)
    assert same(first_start(problem), wanted)


def test_coordinate_descent_from_the_identity_does_not_put_them_back():
    ends = []
    for seed in range(5):
        problem, wanted = copied(seed)
        generator = torch.Generator().manual_seed(seed)
        ends.append(same(coordinate_descent(problem, problem.identity(), generator).perms, wanted))
    assert not all(ends)  # else the test above shows nothing


def test_a_copy_that_was_trained_on_is_put_back_too():
    problem, wanted = copied(0, noise=0.1)
    assert same(copy_start(problem), wanted)


def test_networks_that_have_nothing_in_common_cost_one_assignment(monkeypatch):
    symmetry, solved = hand.mlp_symmetry(30, 20, 20, 5), []
    solve = lap.solve
    monkeypatch.setattr(lap, "solve", lambda *args: solved.append(args[1]) or solve(*args))
    problem = Problem(symmetry, hand.draw(symmetry, 0), hand.draw(symmetry, 1))
    assert copy_start(problem) is None
    assert len(solved) == 1
    assert same(first_start(problem), problem.identity())


def test_nothing_is_a_copy_of_zeros():
    symmetry = narrow()
    a = hand.draw(symmetry, 0)
    assert copy_start(Problem(symmetry, a, {name: 0 * t for name, t in a.items()})) is None


def test_a_network_beside_itself_stays_as_it_is():
    symmetry = narrow()
    problem = Problem(symmetry, hand.draw(symmetry, 0), hand.draw(symmetry, 0))
    assert same(first_start(problem), problem.identity())


def test_there_is_no_start_once_it_is_stopped():
    problem, _ = copied(0)
    assert copy_start(problem, lambda: True) is None
