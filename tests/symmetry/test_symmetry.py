"""How a symmetry acts on parameters: laws, dtypes, checks, counts."""

from __future__ import annotations

from math import factorial, log10

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from engine.errors import SymmetryError
from engine.program import capture
from engine.symmetry import Group, Occurrence, Permutation, Report, Symmetry, derive_symmetry, prove
from tests.models import MODELS

SHAPES = {"a.weight": (7, 2), "a.bias": (7,), "b.weight": (2, 12), "mean": (3,)}
HAND = Symmetry(
    groups=(
        Group("a", 3, (Occurrence("a.weight", 0, 2, 1, 3, 1), Occurrence("mean", 0, 0, 1, 3, 1))),
        Group("inner", 2, (Occurrence("b.weight", 1, 0, 3, 2, 2),)),
        Group("outer", 3, (Occurrence("b.weight", 1, 0, 1, 3, 4),)),
    ),
    report=Report((), ()),
    shapes=SHAPES,
    trainable=frozenset(SHAPES) - {"mean"},
)
"""Made by hand: a stretch, the middle of a product, and two groups on one axis."""


def some_params() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(4)
    return {name: torch.randn(shape, generator=generator) for name, shape in SHAPES.items()}


@pytest.fixture(scope="module")
def derived_models():
    found = []
    for model in MODELS:
        module = model.module()
        program = capture(module, model.inputs())
        found.append((program, derive_symmetry(program), dict(module.state_dict())))
    return found


def test_a_stretch_is_permuted_and_the_rest_stays():
    params = some_params()
    p = Permutation({**HAND.identity(), "a": torch.tensor([2, 0, 1])})
    moved = HAND.apply(p, params)
    assert torch.equal(moved["a.weight"], params["a.weight"][[0, 1, 4, 2, 3, 5, 6]])
    assert torch.equal(moved["mean"], params["mean"][[2, 0, 1]])
    assert torch.equal(moved["a.bias"], params["a.bias"])


def test_two_groups_on_one_axis_act_on_their_factors():
    params = some_params()
    outer, inner = torch.tensor([1, 2, 0]), torch.tensor([1, 0])
    p = Permutation({"a": torch.arange(3), "inner": inner, "outer": outer})
    expected = params["b.weight"].view(2, 3, 2, 2)[:, outer][:, :, inner].reshape(2, 12)
    assert torch.equal(HAND.apply(p, params)["b.weight"], expected)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32), st.integers(0, 2**32))
def test_apply_is_an_action_bit_for_bit(i, j):
    p, q = (HAND.random(torch.Generator().manual_seed(seed)) for seed in (i, j))
    params = some_params()
    together = HAND.apply(p.compose(q), params)
    after = HAND.apply(p, HAND.apply(q, params))
    assert all(torch.equal(together[name], after[name]) for name in params)
    back = HAND.apply(p.inverse(), HAND.apply(p, params))
    assert all(torch.equal(back[name], params[name]) for name in params)


def test_the_inverse_undoes_bit_for_bit_on_every_model(derived_models):
    for _, symmetry, params in derived_models:
        p = symmetry.random(torch.Generator().manual_seed(0))
        moved = symmetry.apply(p, params)
        back = symmetry.apply(p.inverse(), moved)
        assert all(torch.equal(back[name], params[name]) for name in params)
        assert any(not torch.equal(moved[name], params[name]) for name in params)


def test_the_function_is_the_same_on_every_model(derived_models):
    for program, symmetry, params in derived_models:
        exact = {n: t.double() if t.is_floating_point() else t for n, t in params.items()}
        for seed in range(5):
            generator = torch.Generator().manual_seed(seed)
            inputs = program.sample_inputs(3, generator, dtype=torch.float64)
            moved = symmetry.apply(symmetry.random(generator), exact)
            assert torch.allclose(program(moved, *inputs), program(exact, *inputs), rtol=1e-12)


def test_apply_keeps_dtypes_and_unknown_names_and_mutates_nothing():
    params = some_params()
    params["a.weight"] = params["a.weight"].to(torch.bfloat16)
    params["batches"] = torch.tensor(3)
    before = {name: tensor.clone() for name, tensor in params.items()}
    moved = HAND.apply(HAND.random(torch.Generator().manual_seed(1)), params)
    assert list(moved) == list(params)
    assert moved["a.weight"].dtype == torch.bfloat16
    assert moved["batches"] is params["batches"]
    assert all(torch.equal(params[name], before[name]) for name in params)


def test_random_draws_depend_on_the_generator_alone():
    first, second, third = (HAND.random(torch.Generator().manual_seed(s)) for s in (0, 0, 1))
    assert first == second
    assert first != third


def test_counts():
    assert HAND.log10_copies == pytest.approx(log10(factorial(3) ** 2 * factorial(2)))
    assert HAND.moved_parameters == 3 * 2 + 2 * 12
    assert HAND.total_parameters == 7 * 2 + 7 + 2 * 12


def test_overlapping_axes_are_counted_once():
    both = Symmetry(
        (Group("g", 2, (Occurrence("w", 0, 0, 1, 2, 1), Occurrence("w", 1, 1, 1, 2, 1))),),
        Report((), ()),
        {"w": (5, 4)},
        frozenset({"w"}),
    )
    assert both.moved_parameters == 20 - 3 * 2


def test_identity_moves_nothing():
    params = some_params()
    moved = HAND.apply(HAND.identity(), params)
    assert HAND.identity().is_identity
    assert all(torch.equal(moved[name], params[name]) for name in params)


def test_a_parameter_of_another_shape_is_refused_by_name():
    params = some_params() | {"a.weight": torch.zeros(3, 2)}
    with pytest.raises(SymmetryError, match=r"a\.weight has the shape \[3, 2\].*\[7, 2\]"):
        HAND.apply(HAND.identity(), params)


def test_a_missing_parameter_is_refused_by_name():
    params = some_params()
    del params["mean"]
    with pytest.raises(SymmetryError, match="the parameter mean is missing"):
        HAND.apply(HAND.identity(), params)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"else": torch.arange(2)}, "no group named else"),
        ({"a": torch.arange(4)}, "group a has 3 units, the permutation has 4"),
    ],
)
def test_a_permutation_of_another_symmetry_is_refused(change, message):
    with pytest.raises(SymmetryError, match=message):
        HAND.apply(Permutation({**HAND.identity(), **change}), some_params())


def test_a_permutation_that_lacks_a_group_is_refused():
    with pytest.raises(SymmetryError, match="lacks the groups inner, outer"):
        HAND.apply(Permutation({"a": torch.arange(3)}), some_params())


class TiedEnds(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Embedding(7, 4)
        self.last = nn.Linear(4, 7, bias=False)
        self.last.weight = self.first.weight

    def forward(self, tokens):
        return self.last(self.first(tokens).sum(1))


def test_every_name_of_a_tied_parameter_is_permuted():
    module, tokens = TiedEnds(), torch.randint(7, (3, 2))
    program = capture(module, tokens)
    symmetry = derive_symmetry(program)
    permutation = symmetry.random(torch.Generator().manual_seed(1))
    assert not permutation.is_identity
    both = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    permuted = symmetry.apply(permutation, both)
    assert torch.equal(permuted["first.weight"], permuted["last.weight"])
    assert not torch.equal(permuted["first.weight"], both["first.weight"])
    module.load_state_dict(permuted)
    torch.testing.assert_close(module(tokens), program(both, tokens))
    alone = symmetry.apply(permutation, {"last.weight": both["last.weight"]})
    assert torch.equal(alone["last.weight"], permuted["last.weight"])
    assert prove(program, symmetry, {"last.weight": both["last.weight"]}).passed
    with pytest.raises(SymmetryError, match=r"last\.weight has the shape \[2, 4\]"):
        symmetry.apply(permutation, both | {"last.weight": torch.zeros(2, 4)})
