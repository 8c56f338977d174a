"""The self-test finds what it planted, tells ties from errors, and can be cancelled."""

from __future__ import annotations

from functools import cache
from importlib import import_module

import pytest
import torch
from torch import Tensor, nn

from engine.errors import CancelledError, NonFiniteError
from engine.matching import match_weights
from engine.program import Program, capture
from engine.studies.self_test import self_test
from engine.symmetry import Symmetry, derive_symmetry
from tests.models import MODELS


def prepared(module: nn.Module, inputs: Tensor) -> tuple[Program, Symmetry, dict[str, Tensor]]:
    program = capture(module.eval(), inputs)
    state = {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}
    return program, derive_symmetry(program), program.named(state)


def mlp() -> tuple[Program, Symmetry, dict[str, Tensor]]:
    program, symmetry, params = traced_mlp()
    return program, symmetry, {name: tensor.clone() for name, tensor in params.items()}


@cache
def traced_mlp() -> tuple[Program, Symmetry, dict[str, Tensor]]:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(9, 8), nn.ReLU(), nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 3))
    return prepared(module, torch.zeros(2, 9))


@pytest.mark.parametrize("entry", MODELS, ids=lambda entry: entry.name)
def test_every_planted_unit_comes_back(entry):
    program, symmetry, params = prepared(entry.module(), entry.inputs(2))
    for seed in range(2):
        found = self_test(program, symmetry, params, seed=seed)
        assert found.recovered
        assert [(g.units, g.exact) for g in found.groups] == [(n, n) for n in entry.group_sizes]
    total = sum(entry.group_sizes)
    assert found.sentence.startswith(f"All {total} units of {len(entry.group_sizes)} groups")


def test_two_identical_units_are_recovered_up_to_their_tie():
    program, symmetry, params = mlp()
    for name, axis in (("0.weight", 0), ("0.bias", 0), ("2.weight", 1)):
        params[name].select(axis, 5).copy_(params[name].select(axis, 2))
    outcomes = [self_test(program, symmetry, params, seed=seed) for seed in range(6)]
    assert all(found.recovered for found in outcomes)
    first = {(found.groups[0].exact, found.groups[0].tied) for found in outcomes}
    assert first == {(8, 0), (6, 2)}
    tied = next(found for found in outcomes if found.groups[0].tied)
    assert "2 of them are exactly alike" in tied.sentence
    assert [found.groups[1].exact for found in outcomes] == [6] * 6


def test_dead_units_are_ties_too():
    program, symmetry, params = mlp()
    for name, axis in (("0.weight", 0), ("0.bias", 0), ("2.weight", 1)):
        params[name].index_fill_(axis, torch.tensor([0, 3, 4]), 0.0)
    found = [self_test(program, symmetry, params, seed=seed).groups[0] for seed in range(4)]
    assert all(group.wrong == 0 for group in found)
    assert any(group.tied for group in found)


def test_a_matching_that_fails_is_told_unit_by_unit(monkeypatch):
    program, symmetry, params = mlp()

    def lazy(*arguments, **options):
        options["max_sweeps"] = 1
        found = match_weights(*arguments, **options)
        identity = symmetry.identity()
        return type(found)(**{**vars(found), "permutation": identity})

    monkeypatch.setattr(import_module("engine.studies.self_test"), "match_weights", lazy)
    found = self_test(program, symmetry, params, seed=1)
    planted = symmetry.random(torch.Generator().manual_seed(1))
    assert not found.recovered
    for group in found.groups:
        kept = int((planted[group.name] == torch.arange(group.units)).sum())
        assert (group.exact, group.tied, group.wrong) == (kept, 0, group.units - kept)
    assert "Not every unit was put back: 0 (" in found.sentence
    assert found.summary["wrong"] == sum(group.wrong for group in found.groups)


def test_the_same_seed_gives_the_same_answer():
    program, symmetry, params = mlp()
    one, two = (self_test(program, symmetry, params, seed=3) for _ in range(2))
    assert one.summary == two.summary


def test_a_network_without_groups_has_nothing_to_plant():
    program, symmetry, params = prepared(nn.Linear(4, 3), torch.zeros(2, 4))
    found = self_test(program, symmetry, params)
    assert found.recovered
    assert "there is nothing to plant" in found.sentence


def test_broken_weights_and_cancelling_end_it():
    program, symmetry, params = mlp()
    with pytest.raises(CancelledError):
        self_test(program, symmetry, params, should_stop=lambda: True)
    params["0.bias"][0] = float("nan")
    with pytest.raises(NonFiniteError, match=r"0\.bias"):
        self_test(program, symmetry, params)
