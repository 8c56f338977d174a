"""How far two sets of parameters differ as functions."""

from __future__ import annotations

from math import isnan

import pytest
import torch

from engine.errors import SymmetryError
from engine.program import capture
from engine.symmetry import derive_symmetry, equivalence
from tests.models import MODELS


@pytest.fixture(scope="module")
def mlp():
    model = MODELS[0]
    module = model.module()
    program = capture(module, model.inputs())
    return program, derive_symmetry(program), dict(module.state_dict())


def test_a_permuted_model_is_the_same_function(mlp):
    program, symmetry, b = mlp
    pi_b = symmetry.apply(symmetry.random(torch.Generator().manual_seed(0)), b)
    inputs = torch.randn(23, 12)
    found = equivalence(program, b, pi_b, inputs, batch_size=5)
    assert found.samples == 23
    assert found.max_abs_logit_difference < 1e-5 * found.max_abs_logit
    assert found.max_abs_logit == pytest.approx(float(program(b, inputs).abs().max()))


def test_the_difference_is_the_largest_over_all_batches(mlp):
    program, _, b = mlp
    other = {**b, "5.bias": b["5.bias"] + torch.tensor([0.0, 0.0, -2.5, 1.0])}
    found = equivalence(program, b, other, torch.randn(7, 12), batch_size=2)
    assert found.max_abs_logit_difference == pytest.approx(2.5, rel=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_are_compared_in_float32_or_wider(mlp, dtype):
    program, symmetry, b = mlp
    b = {name: tensor.to(dtype) for name, tensor in b.items()}
    pi_b = symmetry.apply(symmetry.random(torch.Generator().manual_seed(0)), b)
    found = equivalence(program, b, pi_b, torch.randn(7, 12))
    assert found.max_abs_logit_difference < 1e-5 * found.max_abs_logit
    mixed = b | {"5.bias": b["5.bias"].float()}
    assert equivalence(program, mixed, b, torch.randn(7, 12)).max_abs_logit_difference == 0


def test_not_a_number_stays_one(mlp):
    program, _, b = mlp
    broken = {**b, "5.bias": torch.full((4,), float("nan"))}
    assert isnan(equivalence(program, b, broken, torch.randn(7, 12)).max_abs_logit_difference)


def test_no_inputs_are_refused(mlp):
    program, _, b = mlp
    with pytest.raises(SymmetryError, match="compared on no inputs"):
        equivalence(program, b, b, torch.zeros(0, 12))
