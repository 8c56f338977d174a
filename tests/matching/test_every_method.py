"""What every method must do, driven by one table: recover, repeat, take what is degenerate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

import engine
import engine.matching
from engine.matching import METHODS, MatchResult, StopReason, run_method
from engine.program import Program, capture
from engine.symmetry import Permutation, Symmetry, derive_symmetry, equivalence
from tests.matching.nested_nets import NETS
from tests.matching.test_activation_matching import lively
from tests.matching.test_weight_matching import BY_NAME, traced, weights

SAMPLES = 90


@dataclass(frozen=True)
class Row:
    """One method with some options, and what the theory promises of it.

    Attributes:
        key: the method.
        options: what makes it small.
        recovers: whether a planted permutation of a wide network comes back.
        rises: whether its trace never falls.
        keeps: whether equal models, however degenerate, stay as they are.
    """

    key: str
    options: Mapping[str, object] = field(default_factory=dict)
    recovers: bool = True
    rises: bool = True
    keeps: bool = True


ROWS = {
    "weight": Row("weight"),
    "weight, escapes": Row("weight", {"escapes": 3}),
    "weight, restarts": Row("weight", {"restarts": 2, "also_from": "activation"}),
    "activation, correlation": Row("activation"),
    "activation, inner product": Row("activation", {"statistic": "inner_product"}),
    "activation, mixture": Row("activation", {"mixture": 0.5}),
    "ste": Row("ste", {"steps": 3, "batch_size": 40}, rises=False),
    "sinkhorn": Row("sinkhorn", {"steps": 40}),
    "sinkhorn, midpoint": Row(
        "sinkhorn",
        {"learnt": "midpoint", "steps": 4, "batch_size": 40},
        recovers=False,  # in so few steps
        rises=False,
        keeps=False,  # another midpoint may have a lower loss on these labels
    ),
    "frank-wolfe": Row("frank-wolfe"),
    "frank-wolfe, identity": Row("frank-wolfe", {"start": "identity"}),
    "cosine": Row("cosine", rises=False),
    "steepest": Row("steepest", recovers=False, keeps=False),  # b = π(a) is nothing to a's slopes
}
EVERY = pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)


def run(row: Row, program: Program, symmetry: Symmetry, a: Mapping, b: Mapping, data, **more):
    given = {"data": data, "options": row.options, "seed": 3, **more}
    return run_method(row.key, program, symmetry, a, b, **given)


@cache
def nested(name: str) -> tuple[Program, Symmetry]:
    build, example = NETS[name]
    torch.manual_seed(0)
    program = capture(build().eval(), example)
    return program, derive_symmetry(program)


def samples(name: str, classes: int = 4) -> SimpleNamespace:
    inputs = BY_NAME[name].inputs(SAMPLES)
    return SimpleNamespace(inputs=inputs, targets=torch.arange(SAMPLES) % classes)


def short(row: Row, steps: int) -> Row:
    """Return the row with fewer steps, where its method takes any."""
    takes = "steps" in {option.name for option in METHODS[row.key].options}
    return replace(row, options={**row.options, "steps": steps}) if takes else row


def match(row: Row, name: str, a: Mapping, b: Mapping, **more) -> MatchResult:
    return run(row, *traced(name), a, b, samples(name), **more)


def test_every_method_is_in_the_table():
    assert {row.key for row in ROWS.values()} == set(METHODS)


@pytest.mark.parametrize("name", ["wide-mlp", "wide-resnet"])
@EVERY
def test_a_planted_permutation_is_recovered(row, name):
    program, symmetry = traced(name)
    a = lively(program, 1)
    planted = symmetry.random(torch.Generator().manual_seed(1))
    b = symmetry.apply(planted, a)
    result = match(row, name, a, b)
    if row.recovers:
        assert result.permutation == planted.inverse()
    assert (
        equivalence(
            program, b, symmetry.apply(result.permutation, b), (BY_NAME[name].inputs(5),)
        ).max_abs_logit_difference
        < 1e-3 * 100
    )


@EVERY
def test_results_are_whole_and_traces_rise(row):
    program, symmetry = traced("wide-mlp")
    a, b = lively(program, 1), lively(program, 2)
    result = match(row, "wide-mlp", a, b)
    pi_b = symmetry.apply(result.permutation, b)
    inner = sum(float((a[n].double() * pi_b[n].double()).sum()) for n in symmetry.layouts)
    assert result.objective == pytest.approx(inner, rel=1e-5)
    assert result.method == row.key
    assert result.seconds > 0
    assert result.stop_reason in StopReason
    steps = zip(result.trace, result.trace[1:], strict=False)
    if row.rises:
        assert all(after >= before - 1e-6 * abs(before) for before, after in steps)
        assert len(result.trace) > 1


@EVERY
def test_one_seed_gives_one_result_and_models_are_left_alone(row):
    program, _ = traced("wide-resnet")
    a, b = lively(program, 0), lively(program, 1)
    before = {key: tensor.clone() for key, tensor in a.items()}
    state = torch.get_rng_state()
    one, two = (match(short(row, 10), "wide-resnet", a, b) for _ in range(2))
    assert one.permutation == two.permutation
    assert (one.trace, one.restarts, one.sweeps) == (two.trace, two.restarts, two.sweeps)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(tensor, before[key]) for key, tensor in a.items())
    assert not any(p.is_inference() for p in one.permutation.values())


def dead(a: dict[str, Tensor]) -> dict[str, Tensor]:
    a["0.weight"][5:40] = 0
    a["0.bias"][5:40] = 0
    return a


def duplicated(a: dict[str, Tensor]) -> dict[str, Tensor]:
    for key in ("0.weight", "0.bias"):
        a[key][10:20] = a[key][:10]
    a["2.weight"][:, 10:20] = a["2.weight"][:, :10]
    return a


def zero(a: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key: torch.zeros_like(tensor) for key, tensor in a.items()}


def constant(a: dict[str, Tensor]) -> dict[str, Tensor]:
    a["0.weight"] = torch.zeros_like(a["0.weight"])
    a["0.bias"] = a["0.bias"].abs() + 1
    return a


@pytest.mark.parametrize("spoil", [dead, duplicated, zero, constant])
@EVERY
def test_degenerate_units_are_taken_and_equal_models_stay(row, spoil):
    program, symmetry = traced("wide-mlp")
    a = spoil(weights(program, 0))
    result = match(row, "wide-mlp", a, a)
    symmetry.check_permutation(result.permutation)
    pi_a = symmetry.apply(result.permutation, a)
    unchanged = all(torch.equal(pi_a[key], tensor) for key, tensor in a.items())
    if row.keeps:
        assert unchanged
    if spoil is zero and row.key != "sinkhorn":
        assert result.permutation.is_identity


@EVERY
def test_layers_of_one_unit_are_taken(row):
    module = nn.Sequential(nn.Linear(3, 1), nn.Tanh(), nn.Linear(1, 4), nn.Tanh(), nn.Linear(4, 2))
    program = capture(module.eval(), torch.zeros(2, 3))
    symmetry = derive_symmetry(program)
    data = SimpleNamespace(inputs=torch.randn(30, 3), targets=torch.arange(30) % 2)
    result = run(row, program, symmetry, weights(program, 0), weights(program, 1), data)
    symmetry.check_permutation(result.permutation)
    assert [group.size for group in symmetry.groups] == [4]


@EVERY
def test_a_model_without_groups_says_so(row):
    program = capture(nn.Sequential(nn.Linear(3, 2)).eval(), torch.zeros(2, 3))
    symmetry, a = derive_symmetry(program), weights(program, 0)
    data = SimpleNamespace(inputs=torch.zeros(4, 3), targets=torch.zeros(4, dtype=torch.int64))
    result = run(row, program, symmetry, a, a, data)
    assert result.stop_reason is StopReason.NO_SYMMETRY
    assert len(result.permutation) == 0


@pytest.mark.parametrize("name", NETS)
@EVERY
def test_nested_groups_are_matched_by_every_method(row, name):
    program, symmetry = nested(name)
    a, b = lively(program, 1), lively(program, 2)
    example = NETS[name][1]
    batch = example.repeat(4, *[1] * (example.ndim - 1))
    outputs = program(a, batch)
    targets = outputs.argmax(-1)
    data = SimpleNamespace(inputs=batch, targets=targets)
    result = run(short(row, 2), program, symmetry, a, b, data)
    symmetry.check_permutation(result.permutation)
    assert dict(result.permutation.within) == symmetry.within
    assert isinstance(result.permutation, Permutation)


@EVERY
def test_cancelling_returns_what_there_is(row):
    program, symmetry = traced("wide-mlp")
    result = match(
        row, "wide-mlp", lively(program, 0), lively(program, 1), should_stop=lambda: True
    )
    assert result.stop_reason is StopReason.CANCELLED
    symmetry.check_permutation(result.permutation)
    assert result.permutation.is_identity


@EVERY
def test_what_is_not_finite_is_named(row):
    program, _ = traced("mlp")
    a, b = weights(program, 0), weights(program, 1)
    b["1.bias"][2] = float("nan")
    with pytest.raises(engine.errors.NonFiniteError, match=r"^b holds NaN or infinite values in 1"):
        match(row, "mlp", a, b)


def test_no_function_has_the_name_of_its_module():
    """Else importing the module would hide the function."""
    for name in engine.matching.__all__:
        assert not isinstance(getattr(engine.matching, name), type(engine)), name
