"""The anchored start: from what is known to what is not."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from engine.matching import Problem, lap
from engine.matching.anchored import anchored_start
from engine.matching.weight_matching import first_start
from engine.program import capture
from engine.symmetry import Symmetry, derive_symmetry
from tests.matching import hand, nested_nets
from tests.matching.nested_hand import SYMMETRIES
from tests.matching.nested_nets import ViT


@pytest.fixture(scope="module")
def wide() -> tuple[Symmetry, dict[str, Tensor]]:
    """A ViT so wide that the identity says nothing about its residual stream."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nested_nets, "WIDTH", 256)
        torch.manual_seed(0)
        module = ViT().eval()
        symmetry = derive_symmetry(capture(module, torch.randn(2, 3, 8, 8)))
    generator = torch.Generator().manual_seed(1)
    shapes = symmetry.shapes
    return symmetry, {n: torch.randn(shape, generator=generator) for n, shape in shapes.items()}


def test_a_planted_permutation_of_a_wide_stream_is_recovered_by_the_start_alone(wide):
    symmetry, a = wide
    planted = symmetry.random(torch.Generator().manual_seed(2))
    problem = Problem(symmetry, a, symmetry.apply(planted, a))
    found = anchored_start(problem)
    assert all(torch.equal(found[name], p) for name, p in planted.inverse().items())
    seen = lap.solve(problem.cost("patch", problem.identity()), "patch")
    wrong = seen != planted.inverse()["patch"]
    assert wrong.double().mean() > 0.5  # the identity misleads, else this test shows nothing


def test_a_model_beside_itself_stays_at_the_identity(wide):
    symmetry, a = wide
    problem = Problem(symmetry, a, a)
    found = anchored_start(problem)
    assert all(torch.equal(found[name], p) for name, p in problem.identity().items())


def test_what_is_the_same_for_all_units_says_nothing(wide):
    symmetry, a = wide
    names = ("patch.weight", "patch.bias", "token", "places", "norm.weight", "norm.bias")
    flat = {n: torch.zeros_like(t) if n in names or "ln_" in n else t for n, t in a.items()}
    flat |= {n: torch.ones_like(t) for n, t in a.items() if n.endswith("bias")}
    flat["head.weight"] = torch.ones_like(a["head.weight"])
    permuted = symmetry.apply(symmetry.random(torch.Generator().manual_seed(2)), flat)
    problem = Problem(symmetry, flat, permuted)
    found = anchored_start(problem)
    assert all(torch.equal(found[name], p) for name, p in problem.identity().items())


def test_the_start_stops_when_asked(wide):
    symmetry, a = wide
    problem = Problem(symmetry, a, symmetry.apply(symmetry.random(torch.Generator()), a))
    asked = 0

    def after_one() -> bool:
        nonlocal asked
        asked += 1
        return asked > 1

    found = anchored_start(problem, should_stop=after_one)
    moved = [n for n, p in problem.identity().items() if not torch.equal(found[n], p)]
    assert moved == ["patch"]


@pytest.mark.parametrize("name", SYMMETRIES)
def test_the_first_start_is_never_worse_than_the_identity(name):
    symmetry = SYMMETRIES[name]
    for seed in range(5):
        problem = Problem(symmetry, *(hand.draw(symmetry, 2 * seed + k) for k in range(2)))
        reached = problem.objective(first_start(problem))
        assert reached >= problem.objective(problem.identity())


def test_networks_without_nested_groups_start_from_the_identity():
    symmetry = hand.mlp_symmetry(3, 5, 4, 2)
    problem = Problem(symmetry, hand.draw(symmetry, 0), hand.draw(symmetry, 1))
    start = first_start(problem)
    assert all(torch.equal(p, torch.arange(len(p))) for p in start.values())
