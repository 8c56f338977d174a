"""The problem: what enters the objective, and what is refused."""

from __future__ import annotations

import pytest
import torch

from engine.errors import MatchingError, NonFiniteError
from engine.matching import coordinate_descent
from engine.matching.anchored import anchored_start
from engine.matching.problem import Problem
from tests.matching import hand

SYMMETRY = hand.mlp_symmetry(3, 5, 4, 2)


def pair(dtype: torch.dtype = torch.float32) -> tuple[dict, dict]:
    return hand.draw(SYMMETRY, 0, dtype), hand.draw(SYMMETRY, 1, dtype)


def test_objective_agrees_with_the_symmetry_s_own_apply():
    a, b = pair(torch.float64)
    problem = Problem(SYMMETRY, a, b)
    permutation = SYMMETRY.random(torch.Generator().manual_seed(2))
    applied = SYMMETRY.apply(permutation, b)
    expected = sum(float((a[name] * applied[name]).sum()) for name in a)
    assert problem.objective(dict(permutation)) == pytest.approx(expected, rel=1e-12)


def test_objective_of_one_group_counts_its_parameters_only():
    a, b = pair(torch.float64)
    problem = Problem(SYMMETRY, a, b)
    identity = problem.identity()
    expected = sum(float((a[name] * b[name]).sum()) for name in ("w1", "b1", "w2"))
    assert problem.objective(identity, "first") == pytest.approx(expected, rel=1e-12)


def test_excluded_and_integer_tensors_do_not_enter():
    a, b = pair(torch.float64)
    a["b1"], b["b1"] = a["b1"].long(), b["b1"].long()
    problem = Problem(SYMMETRY, a, b, exclude={"b2"})
    expected = sum(float((a[name] * b[name]).sum()) for name in ("w1", "w2", "w3"))
    assert problem.objective(problem.identity()) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("given", "working"),
    [
        (torch.float16, torch.float32),
        (torch.bfloat16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ],
)
def test_working_dtype(given, working):
    problem = Problem(SYMMETRY, *pair(given))
    assert problem.dtype == working
    assert problem.cost("first", problem.identity()).dtype == working


def test_neither_model_is_changed():
    a, b = pair()
    before = [{k: t.clone() for k, t in m.items()} for m in (a, b)]
    problem = Problem(SYMMETRY, a, b)
    coordinate_descent(problem, problem.identity(), torch.Generator())
    for model, copy in zip((a, b), before, strict=True):
        assert all(torch.equal(model[name], copy[name]) for name in model)


def test_a_missing_tensor_is_named():
    a, b = pair()
    del b["w2"]
    with pytest.raises(MatchingError, match="b lacks tensors of the model: w2"):
        Problem(SYMMETRY, a, b)


def test_a_mis_shaped_tensor_is_named_with_both_shapes():
    a, b = pair()
    a["w1"] = torch.zeros(5, 4)
    with pytest.raises(
        MatchingError, match=r"a does not fit the model: w1 is \[5, 4\], not \[5, 3"
    ):
        Problem(SYMMETRY, a, b)


def test_many_missing_tensors_are_cut_short():
    shapes = {f"w{k}": (2,) for k in range(9)}
    symmetry = hand.symmetry(shapes, g=[(k, 0, 0, 1, 2, 1) for k in range(9)])
    with pytest.raises(MatchingError, match="w5 and 3 more"):
        Problem(symmetry, {}, {})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_named_and_counted(value):
    a, b = pair()
    b["w1"][0, :2] = value
    with pytest.raises(NonFiniteError, match=r"b holds NaN or infinite values in w1 \(2 of 15\)"):
        Problem(SYMMETRY, a, b)


def test_large_finite_values_are_no_error():
    a, b = pair()
    b["w1"].fill_(3e38)
    Problem(SYMMETRY, a, b)


def test_rows_of_large_weights_do_not_overflow_the_objective():
    symmetry = hand.symmetry({"w": (2, 64)}, g=[(0, 1, 0, 1, 64, 1)])
    w = torch.full((2, 64), 1.2e19)
    problem = Problem(symmetry, {"w": w}, {"w": w})
    assert problem.at_identity == pytest.approx(128 * 1.2e19**2, rel=1e-6)


def test_an_empty_parameter_counts_for_nothing():
    symmetry = hand.symmetry({"w": (5, 0), "v": (3, 5)}, g=[(0, 0, 0, 1, 5, 1), (1, 1, 0, 1, 5, 1)])
    a, b = (hand.draw(symmetry, seed) for seed in range(2))
    problem = Problem(symmetry, a, b)
    expected = float((a["v"] * b["v"]).sum())
    assert problem.objective(problem.identity()) == pytest.approx(expected, rel=1e-12)
    assert anchored_start(problem)["g"].tolist() != list(range(5))
