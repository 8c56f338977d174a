"""The anchored start: from what is known to what is not."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from engine.matching import Problem, coordinate_descent, lap
from engine.matching.anchored import anchored_start
from engine.matching.descent import Climber
from engine.matching.site import Site
from engine.matching.weight_matching import first_start
from engine.program import capture
from engine.symmetry import Perms, Symmetry, derive_symmetry
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


def first(problem: Problem) -> Perms:
    with Climber(problem) as climber:
        return first_start(climber)[0]


@pytest.mark.parametrize("name", SYMMETRIES)
def test_the_first_start_is_never_worse_than_the_identity(name):
    symmetry = SYMMETRIES[name]
    for seed in range(5):
        problem = Problem(symmetry, *(hand.draw(symmetry, 2 * seed + k) for k in range(2)))
        reached = problem.objective(first(problem))
        assert reached >= problem.objective(problem.identity())


DEPTH, WIDTH = 12, 4


def narrow() -> Symmetry:
    """A deep perceptron of few units per layer: from the identity there are local optima."""
    shapes = {f"w{k}": (WIDTH, WIDTH) for k in range(DEPTH)}
    return hand.symmetry(
        shapes,
        **{f"g{k}": [(k, 0, 0, 1, WIDTH, 1), (k + 1, 1, 0, 1, WIDTH, 1)] for k in range(DEPTH - 1)},
    )


def copied(seed: int, noise: float = 0.0) -> tuple[Problem, dict[str, Tensor]]:
    """Return a network beside a permuted copy of itself, and what puts the copy back."""
    symmetry = narrow()
    a = hand.draw(symmetry, seed)
    planted = symmetry.random(torch.Generator().manual_seed(seed))
    moved = hand.draw(symmetry, 100 + seed)
    b = symmetry.apply(planted, {name: a[name] + noise * moved[name] for name in a})
    return Problem(symmetry, a, b), dict(planted.inverse())


def same(found: Perms, wanted: Perms) -> bool:
    return all(torch.equal(found[name], p) for name, p in wanted.items())


@pytest.mark.parametrize("noise", [0.0, 0.1])
@pytest.mark.parametrize("seed", range(5))
def test_a_copy_is_put_back_by_the_start_alone(seed, noise):
    problem, wanted = copied(seed, noise)
    assert same(anchored_start(problem), wanted)
    assert same(first(problem), wanted)


def test_coordinate_descent_from_the_identity_does_not_put_them_back():
    ends = []
    for seed in range(5):
        problem, wanted = copied(seed)
        generator = torch.Generator().manual_seed(seed)
        ends.append(same(coordinate_descent(problem, problem.identity(), generator).perms, wanted))
    assert not all(ends)  # else the test above shows nothing


def test_networks_in_one_order_stay_in_it():
    """A model that was trained on: where that says more than the anchors, nothing moves."""
    symmetry = narrow()
    a, moved = hand.draw(symmetry, 0), hand.draw(symmetry, 1)
    problem = Problem(symmetry, a, {name: a[name] + 0.5 * moved[name] for name in a})
    assert not same(anchored_start(problem), problem.identity())
    assert same(first(problem), problem.identity())


def test_zeros_leave_every_unit_in_its_place():
    symmetry = narrow()
    a = hand.draw(symmetry, 0)
    problem = Problem(symmetry, a, {name: 0 * t for name, t in a.items()})
    assert same(first(problem), problem.identity())


def test_the_costs_of_the_start_serve_the_descent(monkeypatch):
    """Each site is multiplied once for both, and what the descent finds stays the same."""
    symmetry = hand.mlp_symmetry(30, 20, 20, 5)
    problem = Problem(symmetry, *(hand.draw(symmetry, seed) for seed in range(2)))
    multiplied: list[Site] = []
    add = Site.add_cost
    monkeypatch.setattr(
        Site, "add_cost", lambda own, *args: multiplied.append(own) or add(own, *args)
    )
    with Climber(problem) as climber:
        start, objective = first_start(climber)
        found = climber.climb(start, torch.Generator().manual_seed(0), objective)
    sites = [site for own in problem.sites.values() for site in own]
    assert len(multiplied) == len(sites) and set(multiplied) == set(sites)
    apart = coordinate_descent(problem, start, torch.Generator().manual_seed(0))
    assert objective == problem.objective(start) > problem.at_identity
    assert same(found.perms, apart.perms)
    assert found.trace == pytest.approx(apart.trace)
