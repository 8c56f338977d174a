"""The proof fails where it must, and refuses where it could not see."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from engine.errors import ProofError
from engine.program import Program
from engine.symmetry import Group, Occurrence, derive_symmetry, prove
from tests.symmetry.tiny import Tiny, program_of

SHAPES = {"w": (3, 4), "b": (4,), "v": (4, 2)}


def small():
    module = Tiny(lambda p, x: (x @ p.w + p.b).relu() @ p.v, SHAPES)
    program = program_of(module, (3,))
    return program, derive_symmetry(program), dict(module.state_dict())


def wrong(symmetry, *drop: str):
    """Return the symmetry with the occurrences in some parameters forgotten."""
    kept = tuple(o for o in symmetry.groups[0].occurrences if o.parameter not in drop)
    return replace(symmetry, groups=(Group("w", 4, kept),))


def test_a_proof_reports_what_it_did():
    program, symmetry, params = small()
    proof = prove(program, symmetry, params, trials=3)
    assert (proof.passed, proof.trials) == (True, 3)
    assert proof.relative <= proof.tolerance == 1e-9
    assert proof.max_abs_difference < 1e-12
    assert proof.seconds > 0


@pytest.mark.parametrize("forgotten", ["w", "b", "v"])
def test_a_forgotten_occurrence_is_found_and_its_group_named(forgotten):
    program, symmetry, params = small()
    with pytest.raises(ProofError, match=r"changed the outputs by .* alone: w\."):
        prove(program, wrong(symmetry, forgotten), params)


def test_a_permuted_output_is_found():
    program, symmetry, params = small()
    output = Group("output", 2, (Occurrence("v", 1, 0, 1, 2, 1),))
    broken = replace(symmetry, groups=(*symmetry.groups, output))
    with pytest.raises(ProofError, match=r"alone: output\."):
        prove(program, broken, params, trials=8)


def test_a_branch_that_is_silent_in_the_given_parameters_is_not_overlooked():
    program, symmetry, params = small()
    params["b"] = torch.zeros(4)
    with pytest.raises(ProofError, match="changed the outputs"):
        prove(program, wrong(symmetry, "b"), params, trials=2)


def test_outputs_that_are_not_finite_prove_nothing():
    program, symmetry, params = small()
    params["b"] = torch.tensor([0.0, float("nan"), 0.0, 0.0])
    with pytest.raises(ProofError, match=r"100% of the model's outputs .* are not finite"):
        prove(program, symmetry, params)


def test_outputs_that_do_not_depend_on_the_inputs_prove_nothing():
    program, symmetry, params = small()
    params["w"] = torch.zeros(3, 4)
    with pytest.raises(ProofError, match="do not depend on its inputs"):
        prove(program, wrong(symmetry, "w"), params)


def test_outputs_of_zero_prove_nothing():
    program, symmetry, params = small()
    params["v"] = torch.zeros(4, 2)
    with pytest.raises(ProofError, match="do not depend on its inputs"):
        prove(program, symmetry, params)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_are_proved_in_float64(dtype):
    program, symmetry, params = small()
    proof = prove(program, symmetry, {name: t.to(dtype) for name, t in params.items()})
    assert proof.relative < 1e-12


def test_casts_inside_the_model_are_lifted():
    module = Tiny(lambda p, x: F.softmax((x @ p.w).float(), 1, dtype=torch.float32) @ p.v, SHAPES)
    program = program_of(module, (3,))
    assert prove(program, derive_symmetry(program), dict(module.state_dict())).relative < 1e-12


def test_an_overflow_in_the_jittered_trial_falls_back_to_the_given_parameters():
    module = Tiny(
        lambda p, x: (x @ p.w).clamp(min=0.01) @ p.v / (1 - p.b).clamp(max=0).sum(), SHAPES
    )
    program = program_of(module, (3,))
    params = dict(module.state_dict()) | {"b": torch.full((4,), 1.0 + 1e-3)}
    for seed in range(5):
        assert prove(program, derive_symmetry(program), params, seed=seed, trials=4).passed


def test_the_parameters_and_the_batch_size_are_not_touched():
    program, symmetry, params = small()
    before = {name: t.clone() for name, t in params.items()}
    prove(program, symmetry, params, batch=1)
    assert all(torch.equal(before[name], params[name]) for name in params)


def test_the_proof_depends_on_its_seed_alone():
    program, symmetry, params = small()
    first, second = (prove(program, symmetry, params, seed=5) for _ in range(2))
    assert first.max_abs_difference == second.max_abs_difference


@pytest.fixture
def batches(monkeypatch) -> list[int]:
    """The numbers of samples that are drawn, as they are drawn."""
    drawn = []
    draw = Program.sample_inputs

    def noting(self, batch, *args, **kwargs):
        drawn.append(batch)
        return draw(self, batch, *args, **kwargs)

    monkeypatch.setattr(Program, "sample_inputs", noting)
    return drawn


def test_large_models_take_fewer_samples(batches):
    wide = Tiny(lambda p, x: (x @ p.w).relu() @ p.v, {"w": (1000, 1000), "v": (1000, 2)})
    program = program_of(wide, (1000,))
    models = (small(), (program, derive_symmetry(program), dict(wide.state_dict())))
    batches.clear()  # of tracing
    for model in models:
        prove(*model)
    assert batches == [4, 4, 2, 2]


def test_more_samples_are_drawn_only_where_they_could_help(batches):
    program, symmetry, params = small()
    batches.clear()  # of tracing
    for name, value in (("b", float("nan")), ("w", 0.0)):
        with pytest.raises(ProofError):
            prove(program, symmetry, params | {name: torch.full(SHAPES[name], value)}, batch=3)
    assert batches == [3, 3, 48]


def test_many_groups_of_some_units_need_no_further_trial():
    shapes = {"w": (3, 8000), "v": (8000, 2)}
    program = program_of(Tiny(lambda p, x: (x @ p.w).relu() @ p.v, shapes), (3,))
    eights = tuple(
        Group(f"{k}", 8, (Occurrence("w", 1, k, 1, 8, 1), Occurrence("v", 0, k, 1, 8, 1)))
        for k in range(0, 8000, 8)
    )
    symmetry = replace(derive_symmetry(program), groups=eights)
    params = dict(Tiny(lambda p, x: x, shapes).state_dict())
    assert prove(program, symmetry, params).trials == 2


def test_without_groups_there_is_nothing_that_could_go_unseen():
    module = Tiny(lambda p, x: x @ p.w, {"w": (3, 4)})
    program = program_of(module, (3,))
    proof = prove(program, derive_symmetry(program), {"w": torch.zeros(3, 4)})
    assert (proof.passed, proof.trials) == (True, 0)


@pytest.mark.parametrize("seed", range(8))
def test_no_group_of_two_units_is_left_as_it_is(seed):
    module = Tiny(lambda p, x: (x @ p.w).relu() @ p.v, {"w": (3, 2), "v": (2, 2)})
    program = program_of(module, (3,))
    alone = Group("w", 2, (Occurrence("w", 1, 0, 1, 2, 1),))
    broken = replace(derive_symmetry(program), groups=(alone,))
    with pytest.raises(ProofError, match="changed the outputs"):
        prove(program, broken, dict(module.state_dict()), trials=1, seed=seed)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("size", [2, 3])
def test_two_small_groups_that_are_one_are_told_apart(seed, size):
    shapes = {"w": (3, size), "v": (size, 2)}
    program = program_of(Tiny(lambda p, x: (x @ p.w).relu() @ p.v, shapes), (3,))
    left = Group("w", size, (Occurrence("w", 1, 0, 1, size, 1),))
    right = Group("v", size, (Occurrence("v", 0, 0, 1, size, 1),))
    broken = replace(derive_symmetry(program), groups=(left, right))
    params = dict(Tiny(lambda p, x: x, shapes).state_dict())
    with pytest.raises(ProofError, match="changed the outputs"):
        prove(program, broken, params, seed=seed)
