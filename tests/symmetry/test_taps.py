"""Taps: which values show a group, and the law that a permuted model shows them permuted."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from engine.matching.tap_statistics import unfolded
from engine.program import Program, capture
from engine.symmetry import Permutation, Symmetry, derive_symmetry
from engine.symmetry.taps import FROM_BATCH, Tap, taps
from tests.models import MODELS
from tests.symmetry.cases_nested import NESTED
from tests.symmetry.tiny import Tiny, program_of


def traced(name: str) -> tuple[Program, dict[str, torch.Tensor], torch.Tensor]:
    """Return a model of one of the two tables, its weights and inputs, in float64."""
    generator = torch.Generator().manual_seed(4)
    if name in NESTED:
        function, shapes = NESTED[name][:2]
        module = Tiny(function, shapes)
        program, inputs = program_of(module, (3, 5)), torch.randn(6, 3, 5, generator=generator)
    else:
        model = next(m for m in MODELS if m.name == name)
        module, inputs = model.module(), model.inputs(6)
        program = capture(module, model.inputs())
    weights = {key: tensor.detach().double() for key, tensor in module.state_dict().items()}
    return program, weights, inputs.double()


def shown(program: Program, params: dict, inputs: torch.Tensor, tap: Tap) -> torch.Tensor:
    return unfolded(program.tapped([tap.node])(params, inputs)[1][tap.node], tap)


def follows(symmetry: Symmetry, name: str, before, after, permutation: Permutation) -> bool:
    """Tell whether values [units, …] after a permutation are those before it, permuted."""
    group = next(group for group in symmetry.groups if group.name == name)
    p = permutation[name]
    if not group.nested:
        return torch.allclose(after, before[p], rtol=0, atol=1e-10)
    outer = torch.arange(group.copies) if group.within is None else permutation[group.within]
    return torch.allclose(after, before[outer[:, None], p], rtol=0, atol=1e-10)


CASES = (
    *("mlp", "vgg", "resnet-a", "resnet-3x3"),
    *("attention", "fused attention", "several queries per key", "inner units stand outside"),
    *("head outside and inside", "talking heads before the values", "experts"),
    *("heads with slopes: fixed", "a network per position: fixed"),
)


@pytest.mark.parametrize("name", CASES)
def test_a_permuted_model_shows_its_taps_permuted(name):
    program, weights, inputs = traced(name)
    symmetry = derive_symmetry(program)
    permutation = symmetry.random(torch.Generator().manual_seed(2))
    permuted = symmetry.apply(permutation, weights)
    found = taps(program)
    assert list(found) == [group.name for group in symmetry.groups]
    told = {group.within for group in symmetry.groups if found[group.name]}
    for group, own in found.items():
        assert own or group in told
        for tap in own:
            values = [shown(program, params, inputs, tap) for params in (weights, permuted)]
            assert follows(symmetry, group, *values, permutation), (group, tap)


def test_a_perceptron_is_tapped_after_its_nonlinearity():
    program, *_ = traced("mlp")
    assert {name: [tap.node for tap in own] for name, own in taps(program).items()} == {
        "1": ["relu"],
        "3": ["relu_1"],
    }


def test_a_residual_stream_is_tapped_once_per_block_and_after_pooling():
    program, *_ = traced("resnet-b")
    nodes = {name: [tap.node for tap in own] for name, own in taps(program).items()}
    assert nodes["conv1"] == ["relu", "relu_2"]
    assert nodes["layer2.0.conv2"] == ["relu_4", "avg_pool2d"]


def test_an_outer_group_leaves_the_taps_to_those_nested_in_it():
    program, *_ = traced("attention")
    (outer,) = {group.within for group in derive_symmetry(program).groups if group.nested}
    found = taps(program)
    assert found[outer] == ()
    assert all(own for name, own in found.items() if name != outer)


def tapped(function, shapes, inputs) -> dict[str, tuple[Tap, ...]]:
    return taps(program_of(Tiny(function, shapes), inputs))


def test_views_are_followed_back_to_the_value_that_they_show():
    found = tapped(
        lambda p, x: F.dropout((x @ p.w).relu(), 0.5, False).mT.flatten(1) @ p.v,
        {"w": (5, 4), "v": (4 * 3, 2)},
        (3, 5),
    )
    assert [tap.node for tap in found["w"]] == ["relu"]


def test_an_axis_that_holds_the_batch_is_divided_by_it():
    found = tapped(
        lambda p, x: ((x @ p.w).flatten() * 2).relu().view(-1, 4) @ p.v,
        {"w": (5, 4), "v": (4, 2)},
        (5,),
    )
    (tap,) = found["w"]
    assert (tap.place.outer, tap.place.size) == (FROM_BATCH, 4)
    value = torch.arange(12.0)
    assert torch.equal(unfolded(value, tap), value.view(3, 4).T)


def mixing(p, x):
    """Hidden tokens × channels, as in MLP-Mixer: both free."""
    y = x @ p.inside
    return ((p.tokens @ y).relu().mT @ p.back).mT @ p.outside


MIXING = {"inside": (5, 4), "tokens": (6, 3), "back": (6, 3), "outside": (4, 2)}


def test_groups_that_stand_across_a_tap_are_named_and_do_not_matter():
    found = tapped(mixing, MIXING, (3, 5))
    (tap,) = found["tokens"]
    assert [(o.axis, o.size) for o in tap.beside] == [(2, 4)]
    assert all(not tap.beside for tap in found["inside"])
    value = torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(unfolded(value, tap), unfolded(value[:, :, [2, 0, 3, 1]], tap))
    module = Tiny(mixing, MIXING)
    program = program_of(module, (3, 5))
    weights = {key: tensor.detach().double() for key, tensor in module.state_dict().items()}
    symmetry = derive_symmetry(program)
    permutation = symmetry.random(torch.Generator().manual_seed(2))
    inputs = torch.randn(6, 3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    models = (weights, symmetry.apply(permutation, weights))
    values = [shown(program, params, inputs, tap) for params in models]
    assert follows(symmetry, "tokens", *values, permutation)


def test_a_group_that_no_value_shows_has_no_taps():
    found = tapped(lambda p, x: x @ (p.down @ p.up), {"down": (5, 3), "up": (3, 2)}, (5,))
    assert found == {"down": ()}


def test_a_model_without_groups_has_none():
    assert taps(capture(nn.Linear(3, 2).eval(), torch.zeros(2, 3))) == {}
