"""Groups on scattered stretches in matching: a padded shortcut, a channel shuffle."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import nn

from engine.matching import match_weights
from engine.program import Program
from engine.symmetry import Symmetry, derive, derive_symmetry
from engine.symmetry.merging import Merging
from tests.symmetry.grammar.recorder import record
from tests.zoo.table import ZOO

NAMES = ("ResNet, option A shortcuts", "ShuffleNetV2", "ShuffleNetV1")


@cache
def traced(name: str) -> tuple[nn.Module, Program, Symmetry]:
    module, (x,) = ZOO[name].module(), ZOO[name].inputs()
    program = record(module, x)
    return module, program, derive_symmetry(program)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", NAMES)
def test_a_planted_permutation_of_scattered_units_is_recovered_exactly(name, seed):
    module, program, symmetry = traced(name)
    assert any(o.pieces for group in symmetry.groups for o in group.occurrences)
    assert sorted(group.size for group in symmetry.groups) == sorted(ZOO[name].groups)
    a = dict(module.state_dict())
    planted = symmetry.random(torch.Generator().manual_seed(seed))
    b = symmetry.apply(planted, a)
    result = match_weights(program, symmetry, a, b, seed=seed)
    assert result.permutation == planted.inverse()
    back = symmetry.apply(result.permutation, b)
    assert all(torch.equal(back[key], a[key]) for key in b)


@pytest.mark.parametrize("name", NAMES)
def test_without_scattered_groups_it_cannot_be_recovered(monkeypatch, name):
    module, program, symmetry = traced(name)
    a = dict(module.state_dict())
    b = symmetry.apply(symmetry.random(torch.Generator().manual_seed(0)), a)
    monkeypatch.setattr(derive, "find_merging", lambda *_: Merging({}, {}))
    apart = derive_symmetry(program)
    assert apart.log10_copies < symmetry.log10_copies
    result = match_weights(program, apart, a, b, restarts=4)
    back = apart.apply(result.permutation, b)
    assert not all(torch.equal(back[key], a[key]) for key in b)
    whole = match_weights(program, symmetry, a, a).objective
    assert result.objective < 0.999 * whole
    assert match_weights(program, symmetry, a, b).objective == pytest.approx(whole, rel=1e-5)
