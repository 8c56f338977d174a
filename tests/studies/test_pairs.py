"""Pairs that are not two float32 files of one kind: precisions, step counters, tied weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from engine.checkpoints import Checkpoint, fingerprint
from engine.errors import MismatchError, SpecError
from engine.landscape import evaluate_model
from engine.program import capture
from engine.studies.compare import compare
from engine.studies.options import CompareOptions
from tests.studies.test_compare import DATA, checkpoint, network

OPTIONS = CompareOptions(line_points=3, plane_points=2, reset_samples=40)


def of(tensors, name: str) -> Checkpoint:
    return Checkpoint(dict(tensors), fingerprint(tensors), name, "safetensors")


def cast(model: Checkpoint, dtype: torch.dtype) -> Checkpoint:
    return of({n: t.to(dtype) for n, t in model.tensors.items()}, model.name)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_are_compared(dtype):
    a, b = checkpoint(network(0), "a"), checkpoint(network(1), "b")
    expected = compare(a, b, options=OPTIONS, data=DATA)
    result = compare(cast(a, dtype), cast(b, dtype), options=OPTIONS, data=DATA)
    for name, values in expected.arrays.items():
        if name.endswith("_loss"):
            np.testing.assert_allclose(result.arrays[name], values, rtol=0.02)
    assert {t.dtype for t in result.pi_b.values()} == {dtype}
    assert {t.dtype for t in result.midpoint.values()} == {dtype}


def normed(seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(12, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 4))


@pytest.mark.parametrize("lacks", ["a", "b"])
def test_step_counters_may_be_in_only_one_of_the_checkpoints(lacks):
    pair = [checkpoint(normed(seed), name) for seed, name in enumerate("ab")]
    without = pair["ab".index(lacks)]
    kept = {n: t for n, t in without.tensors.items() if "num_batches" not in n}
    pair["ab".index(lacks)] = of(kept, lacks)
    result = compare(*pair, options=OPTIONS, data=DATA)
    assert result.midpoint.keys() == pair[0].tensors.keys()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_exported_midpoint_has_the_loss_that_is_shown(dtype):
    pair = [cast(checkpoint(normed(seed), name), dtype) for seed, name in enumerate("ab")]
    result = compare(*pair, options=OPTIONS, data=DATA)
    program = capture(normed(0), torch.zeros(2, 12))
    got = evaluate_model(program, result.midpoint, DATA["test"]).loss.item()
    assert got == pytest.approx(result.summary["midpoints"]["rebasin"]["test"]["loss"], rel=1e-6)


@pytest.mark.parametrize(
    ("choice", "reason"),
    [({"line_points": 24}, "odd number"), ({"line_points": 1}, "odd"), ({"plane_points": 1}, "2")],
)
def test_numbers_of_points_that_make_no_sense_are_refused(choice, reason):
    with pytest.raises(SpecError, match=f"is not possible: give .*{reason}"):
        CompareOptions(**choice)


def test_an_unknown_precision_is_refused():
    with pytest.raises(SpecError, match="'half' is not possible: choose one of exact, tf32, fast"):
        CompareOptions(precision="half")


@pytest.mark.parametrize(
    ("choice", "reason"),
    [
        ({"statistics": "renew"}, "'renew' is not possible: choose one of interpolate, reset"),
        ({"statistics": "repair", "reset": True}, "reset=True and statistics='repair' contradict"),
        ({"statistics": "reset", "reset": False}, "reset=False and statistics='reset' contradict"),
    ],
)
def test_statistics_that_make_no_sense_are_refused(choice, reason):
    with pytest.raises(SpecError, match=reason):
        CompareOptions(**choice)


@pytest.mark.parametrize("choice", [{"mean": (0.5,)}, {"std": (0.5,)}])
def test_half_a_normalisation_is_refused(choice):
    with pytest.raises(SpecError, match="mean and std belong together; give both or neither"):
        CompareOptions(**choice)


class Tied(nn.Module):
    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.down, self.up = nn.Linear(12, 6, bias=False), nn.Linear(12, 6, bias=False)
        self.up.weight = self.down.weight

    def forward(self, x):
        return self.down(x).relu() + self.up(-x).relu() @ torch.ones(6, 6)


@pytest.mark.parametrize("names", [("down.weight",), ("up.weight",), ("down.weight", "up.weight")])
def test_tied_weights_may_be_held_under_any_of_their_names(names):
    program = capture(Tied(0), torch.zeros(2, 12))
    pair = []
    for seed in range(2):
        state = Tied(seed).state_dict()
        pair.append(of({name: state[name] for name in names}, str(seed)))
    result = compare(*pair, options=OPTIONS, data=DATA, program=program)
    assert tuple(result.pi_b) == tuple(result.midpoint) == names
    for tensors in (result.pi_b, result.midpoint):
        assert all(torch.equal(tensors[name], tensors[names[0]]) for name in names)


def test_untied_values_of_a_tied_parameter_are_refused():
    program = capture(Tied(0), torch.zeros(2, 12))
    state = Tied(0).state_dict()
    broken = of(state | {"up.weight": state["up.weight"] + 1}, "broken")
    with pytest.raises(MismatchError, match=r"different values as down\.weight and up\.weight"):
        compare(of(state, "a"), broken, options=OPTIONS, data=DATA, program=program)
