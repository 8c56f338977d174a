"""Sites: index vectors of axes, costs and their changes against the matrix oracle."""

from __future__ import annotations

import pytest
import torch

from engine.matching.problem import Problem
from engine.matching.site import is_identity, picked
from engine.matching.visit import Costs
from engine.symmetry import Carried, Occurrence, axis_index
from tests.matching import hand

SYMMETRIES = {
    "mlp": hand.mlp_symmetry(3, 5, 4, 2),
    "twice": hand.twice_symmetry(5),
    "mixed": hand.mixed_symmetry(),
    "scattered": hand.scattered_symmetry(),
}


def make(name: str, seed: int = 0) -> tuple[Problem, dict, dict]:
    symmetry = SYMMETRIES[name]
    a, b = hand.draw(symmetry, seed), hand.draw(symmetry, seed + 1)
    return Problem(symmetry, a, b), a, b


def test_axis_index_views_a_stretch_as_outer_size_inner():
    carried = (Carried("g", Occurrence("w", 0, 1, 2, 2, 2)),)
    index = axis_index(10, carried, {"g": torch.tensor([1, 0])})
    assert index.tolist() == [0, 3, 4, 1, 2, 7, 8, 5, 6, 9]


def test_axis_index_of_one_whole_axis_is_the_permutation_itself():
    p = torch.tensor([2, 0, 1])
    assert axis_index(3, (Carried("g", Occurrence("w", 0, 0, 1, 3, 1)),), {"g": p}) is p


def test_is_identity():
    assert is_identity(torch.arange(4))
    assert not is_identity(torch.tensor([1, 0]))


def test_overlap_is_of_one_axis_and_shared_places():
    one = Carried("g", Occurrence("w", 0, 0, 1, 3, 1))
    assert one.overlaps(Carried("h", Occurrence("w", 0, 2, 1, 3, 1)))
    assert not one.overlaps(Carried("h", Occurrence("w", 0, 3, 1, 3, 1)))
    assert not one.overlaps(Carried("h", Occurrence("w", 1, 0, 1, 3, 1)))
    between = Carried("h", Occurrence("w", 0, 0, 1, 4, 1, pieces=((0, 2), (5, 2))))
    assert not between.overlaps(Carried("g", Occurrence("w", 0, 2, 1, 3, 1)))
    assert between.overlaps(Carried("g", Occurrence("w", 0, 2, 1, 4, 1)))


@pytest.mark.parametrize("name", SYMMETRIES)
def test_costs_are_the_derivatives_of_the_objective(name):
    problem, a, b = make(name)
    for seed in range(3):
        perms = problem.random(torch.Generator().manual_seed(seed))
        objective, costs = hand.oracle(SYMMETRIES[name], a, b, perms)
        assert problem.objective(perms) == pytest.approx(objective, rel=1e-12, abs=1e-12)
        for group in problem.sizes:
            torch.testing.assert_close(problem.cost(group, perms), costs[group])


@pytest.mark.parametrize("name", SYMMETRIES)
def test_a_kept_cost_follows_any_change_of_the_permutations(name):
    problem, *_ = make(name)
    generator = torch.Generator().manual_seed(3)
    then = problem.identity()
    costs = Costs(problem)
    for step in range(8):
        now = problem.random(generator)
        if step % 2:  # only one group changes
            only = next(iter(problem.sizes))
            now = {**then, only: now[only]}
        for group in problem.sizes:
            torch.testing.assert_close(costs.of(group, now), problem.cost(group, now))
        then = now


@pytest.mark.parametrize("name", SYMMETRIES)
def test_a_site_counts_from_when_it_is_known(name):
    problem, *_ = make(name)
    perms, later = (problem.random(torch.Generator().manual_seed(k)) for k in range(2))
    costs = Costs(problem)
    for group in problem.sizes:
        torch.testing.assert_close(costs.of(group, perms, ()), problem.cost(group, perms, ()))
        torch.testing.assert_close(costs.of(group, later), problem.cost(group, later))


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("shape", [(5, 6, 7), (5, 6, 1), (1, 1, 9), (4, 3, 4)])
def test_picked_is_index_select(shape, axis):
    generator = torch.Generator().manual_seed(0)
    tensor = torch.randn(shape, generator=generator)
    for count in (0, 1, 11):
        index = torch.randint(shape[axis], (count,), generator=generator)
        assert torch.equal(picked(tensor, axis, index), tensor.index_select(axis, index))


def test_neighbours_share_a_parameter_and_a_group_on_two_axes_neighbours_itself():
    mlp, *_ = make("mlp")
    assert mlp.neighbours == {"first": {"second"}, "second": {"first"}}
    twice, *_ = make("twice")
    assert twice.neighbours == {"stream": {"stream"}}


def test_norms_bound_every_entry_of_the_cost():
    problem, *_ = make("mixed")
    perms = problem.random(torch.Generator().manual_seed(5))
    for group in problem.sizes:
        a, b = problem.norms(group)
        assert (problem.cost(group, perms).abs() <= a[:, None] * b[None, :] * (1 + 1e-12)).all()
