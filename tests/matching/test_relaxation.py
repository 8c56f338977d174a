"""Relaxed permutations: the corners are the symmetry's own, between them all is multilinear."""

from __future__ import annotations

import pytest
import torch

from engine.matching.problem import Problem
from engine.matching.relaxation import Relaxation
from engine.symmetry import Permutation, Symmetry
from tests.matching.hand import draw, mixed_symmetry, mlp_symmetry, twice_symmetry
from tests.matching.nested_hand import SYMMETRIES as NESTED

SYMMETRIES = {
    "mlp": mlp_symmetry(3, 4, 3, 2),
    "twice": twice_symmetry(4),
    "mixed": mixed_symmetry(),
    **NESTED,
}


def relaxed(symmetry: Symmetry) -> tuple[Problem, Relaxation]:
    a, b = draw(symmetry, 0), draw(symmetry, 1)
    problem = Problem(symmetry, a, b)
    return problem, Relaxation(problem, a, b)


def stochastic(problem: Problem, seed: int) -> dict[str, torch.Tensor]:
    """Mix three random permutations."""
    generator = torch.Generator().manual_seed(seed)
    corners = [problem.random(generator) for _ in range(3)]
    return {
        name: sum(
            weight * torch.nn.functional.one_hot(corner[name], corner[name].shape[-1]).double()
            for weight, corner in zip((0.5, 0.3, 0.2), corners, strict=True)
        )
        for name in problem.groups
    }


@pytest.mark.parametrize("name", SYMMETRIES)
def test_corners_are_permutations(name):
    symmetry = SYMMETRIES[name]
    problem, relaxation = relaxed(symmetry)
    b = draw(symmetry, 1)
    for seed in range(3):
        perms = problem.random(torch.Generator().manual_seed(seed))
        corner = relaxation.corner(perms)
        expected = symmetry.apply(Permutation(perms, symmetry.within), b)
        found = relaxation.restored(corner)
        assert all(torch.equal(tensor, expected[key]) for key, tensor in found.items())
        assert relaxation.value(corner) == pytest.approx(problem.objective(perms), rel=1e-12)
        nearest = relaxation.nearest({key: m + 0.1 for key, m in corner.items()})
        assert all(torch.equal(nearest[key], p) for key, p in perms.items())


@pytest.mark.parametrize("name", SYMMETRIES)
def test_slopes_are_differences(name):
    problem, relaxation = relaxed(SYMMETRIES[name])
    here, there = stochastic(problem, 0), stochastic(problem, 1)
    value, slopes = relaxation.slopes(here)
    assert value == pytest.approx(relaxation.value(here), rel=1e-12)
    along = sum(float((slopes[g] * (there[g] - here[g])).sum()) for g in here)
    step = 1e-5
    values = [
        relaxation.value({g: here[g] + s * (there[g] - here[g]) for g in here})
        for s in (step, -step)
    ]
    assert along == pytest.approx((values[0] - values[1]) / (2 * step), rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("name", SYMMETRIES)
def test_between_two_points_the_value_is_a_polynomial_of_the_stated_degree(name):
    problem, relaxation = relaxed(SYMMETRIES[name])
    here, there = stochastic(problem, 0), stochastic(problem, 1)
    number = relaxation.degree + 2
    places = torch.linspace(0, 1, number, dtype=torch.float64)
    values = torch.tensor(
        [
            relaxation.value({g: here[g] + float(t) * (there[g] - here[g]) for g in here})
            for t in places
        ],
        dtype=torch.float64,
    )
    differences = values
    for _ in range(number - 1):
        differences = differences.diff()
    assert float(differences.abs().max()) < 1e-10 * float(values.abs().max())


def test_the_centre_mixes_all_units_alike():
    problem, relaxation = relaxed(SYMMETRIES["mlp"])
    mixed = relaxation.restored(relaxation.centre())
    b = draw(SYMMETRIES["mlp"], 1)
    assert torch.allclose(mixed["b1"], b["b1"].mean().expand(4))
    assert torch.allclose(mixed["w2"], b["w2"].mean().expand(3, 4))
    assert relaxation.degree == 2
    assert {n: m.shape[-1] for n, m in relaxation.centre().items()} == dict(problem.sizes)
