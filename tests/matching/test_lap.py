"""The assignment problem: optimal, finite, and no move without gain."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment

from engine.errors import MatchingError
from engine.matching import lap


def test_solve_is_optimal_by_brute_force():
    for seed in range(5):
        cost = torch.randn(5, 5, generator=torch.Generator().manual_seed(seed))
        best = max(lap.assigned(cost, torch.tensor(p)) for p in permutations(range(5)))
        assert lap.assigned(cost, lap.solve(cost, "g")) == pytest.approx(best, rel=1e-6)


def drawn(kind: str, n: int = 263) -> np.ndarray:
    """Draw a cost, float64 [n, n]."""
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((n, n))
    rows = np.zeros((n, n))
    rows[:] = noise[0]
    made = {
        "noise": noise,
        "low rank": rng.standard_normal((n, 5)) @ rng.standard_normal((5, n)),
        "rank one": np.outer(rng.standard_normal(n), rng.standard_normal(n)),
        "beyond": noise * 1e31,
        "ties": rng.integers(0, 3, (n, n)).astype(float),
        "constant": np.full((n, n), 2.5),
        "dead": noise * (np.arange(n) % 3 > 0)[:, None] * (np.arange(n) % 5 > 0)[None, :],
        "alike": rows + 1e-6 * noise,
        "outliers": noise * 10.0 ** rng.integers(-12, 12, n)[:, None],
        "huge": noise * 1e37,
        "tiny": noise * 1e-37,
    }
    return made[kind]


KINDS = (
    *("noise", "low rank", "rank one", "ties", "constant", "dead", "alike"),
    *("outliers", "huge", "beyond", "tiny"),
)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("working", [np.float32, np.float64])
@pytest.mark.parametrize("installed", [True, False])
def test_the_fastest_is_as_good_as_scipy_in_float64(kind, working, installed, monkeypatch):
    assert lap.lapjvs is not None
    if not installed:
        monkeypatch.setattr(lap, "lapjvs", None)
    cost = drawn(kind).astype(working)
    exact = linear_sum_assignment(cost.astype(np.float64), maximize=True)[1]
    found = lap.fastest(cost)
    assert sorted(found) == list(range(len(cost))) and found.dtype == np.int64
    rows = np.arange(len(cost))
    reached, best = (cost[rows, p].sum(dtype=np.float64) for p in (found, exact))
    scale = np.abs(cost[rows, exact]).sum(dtype=np.float64)
    assert abs(reached - best) <= (1e-6 if working is np.float32 else 1e-12) * scale


@pytest.mark.parametrize(
    ("kind", "working", "wanted"),
    [
        ("noise", np.float32, "lapx"),
        ("low rank", np.float32, "lapx"),
        ("rank one", np.float32, "scipy"),
        ("noise", np.float64, "scipy"),
        ("beyond", np.float32, "scipy"),
    ],
)
def test_who_solves_what(kind, working, wanted, monkeypatch):
    asked = []
    for name, solver in (("lapx", "lapjvs"), ("scipy", "linear_sum_assignment")):
        kept = getattr(lap, solver)
        monkeypatch.setattr(
            lap,
            solver,
            lambda *args, kept=kept, name=name, **more: asked.append(name) or kept(*args, **more),
        )
    lap.fastest(drawn(kind).astype(working))
    assert asked == [wanted]


@pytest.mark.parametrize("kind", ["noise", "low rank"])
def test_prices_are_near_the_dual_solution(kind):
    cost = drawn(kind)
    best = cost[np.arange(len(cost)), lap.fastest(cost)].sum()
    found = lap.prices(cost)
    bound = (cost - found).max(1).sum() + found.sum()  # no assignment is worth more
    assert bound > best
    assert bound - best < 0.1 * (cost.max(1).sum() - best)


def test_solve_takes_another_solver():
    reverse = lap.solve(torch.eye(3), "g", lambda cost: np.arange(len(cost))[::-1].copy())
    assert reverse.tolist() == [2, 1, 0]


def test_a_cost_that_is_not_finite_names_the_group():
    with pytest.raises(MatchingError, match=r"the matching cost of layer1\.conv is not finite"):
        lap.solve(torch.full((2, 2), float("inf")), "layer1.conv")


def test_improve_keeps_cycles_without_gain():
    cost = torch.zeros(5, 5)
    cost[0, 1] = cost[1, 0] = 1.0  # units 0 and 1 should swap; 2, 3, 4 are ties
    proposed = torch.tensor([1, 0, 3, 4, 2])
    better = lap.improve(cost, torch.arange(5), proposed, torch.zeros(5))
    assert better.tolist() == [1, 0, 2, 3, 4]


def test_improve_counts_the_gain_from_the_current_permutation():
    cost = torch.zeros(4, 4)
    cost[0, 3], cost[1, 2] = 2.0, 1.0
    current, proposed = torch.tensor([2, 3, 0, 1]), torch.tensor([3, 2, 1, 0])
    better = lap.improve(cost, current, proposed, torch.zeros(4))
    assert better.tolist() == [3, 2, 0, 1]


def test_improve_does_not_believe_gains_within_the_tolerance():
    cost = torch.tensor([[0.0, 1e-9], [1e-9, 0.0]])
    current, proposed = torch.arange(2), torch.tensor([1, 0])
    assert lap.improve(cost, current, proposed, torch.full((2,), 1e-8)) is current
    assert lap.improve(cost, current, proposed, torch.zeros(2)).tolist() == [1, 0]


def test_improve_of_the_same_permutation_is_that_object():
    current = torch.arange(3)
    assert lap.improve(torch.eye(3), current, torch.arange(3), torch.zeros(3)) is current


def test_cycle_labels():
    successor = np.array([1, 2, 0, 3, 5, 4])
    assert lap.cycle_labels(successor).tolist() == [0, 0, 0, 3, 4, 4]
    long = np.roll(np.arange(1000), 1)
    assert not lap.cycle_labels(long).any()


def test_rows_that_do_not_compete_need_no_solver(monkeypatch):
    monkeypatch.setattr(lap, "linear_sum_assignment", None)
    cost = np.array([[0.0, 2.0, 1.0], [3.0, 2.5, 0.0], [0.0, 1.0, 1.5]])
    assert lap.fastest(cost).tolist() == [1, 0, 2]
