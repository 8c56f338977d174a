"""Tests of engine.families.mlp: any linear stack, against modules defined here."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from engine.errors import SpecError, UnknownArchitectureError
from engine.families import recognise
from tests.families.references import (
    NamedMLP,
    RepairMLP,
    assert_same_function,
    sequential_mlp,
)


@pytest.mark.parametrize("widths", [(7, 3), (20, 8, 5), (784, 16, 16, 16, 10), (5,) * 14])
def test_sequential_at_any_width_and_depth(widths):
    module = sequential_mlp(widths)
    found = recognise(module.state_dict())
    assert (found.family, found.input_shape, found.classes) == ("mlp", widths[:1], widths[-1])
    assert found.title == "MLP " + "-".join(map(str, widths))
    assert found.parameters == sum(p.numel() for p in module.parameters())
    assert " → ".join(map(str, widths)) in found.evidence[0]
    assert_same_function(module, found)


def test_the_title_of_a_very_deep_network_is_short():
    state = {f"{i}.weight": torch.zeros(4, 4) for i in range(2000)}
    found = recognise(state)
    assert found.title == "MLP 4-4-4-4-4-4-4-4-…-4-4-4-4-4-4-4-4"
    assert found.evidence[0].startswith("2000 linear layers and no convolution")
    state["1999.weight"] = torch.zeros(4, 5)
    with pytest.raises(UnknownArchitectureError, match=r"1999\.weight \[4, 5\] takes 5 inputs"):
        recognise(state)


@pytest.mark.parametrize("norm", [nn.BatchNorm1d, nn.LayerNorm])
@pytest.mark.parametrize("norm_last", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_norms_before_and_after_the_activation(norm, norm_last, bias):
    module = sequential_mlp((9, 6, 6, 4), norm, bias=bias, norm_last=norm_last)
    found = recognise(module.state_dict())
    assert found.title == f"MLP 9-6-6-4, {norm.__name__.replace('1d', '')}"
    where = "after" if norm_last else "before"
    assert any(f"come {where} the activation: by their places" in a for a in found.assumptions)
    assert ("No layer has a bias." in found.evidence) is not bias
    assert_same_function(module, found, traced=bias)


@pytest.mark.parametrize(
    ("name", "activation"),
    [
        ("relu", nn.ReLU),
        ("gelu", nn.GELU),
        ("tanh", nn.Tanh),
        ("sigmoid", nn.Sigmoid),
        ("silu", nn.SiLU),
        ("leaky_relu", nn.LeakyReLU),
    ],
)
def test_activation_override(name, activation):
    module = sequential_mlp((6, 5, 4), activation=activation)
    found = recognise(module.state_dict(), activation=name)
    assert found.assumptions[0] == f"The activation is {name}, as given."
    assert_same_function(module, found, traced=False)


def test_activation_is_assumed_and_said():
    found = recognise(sequential_mlp((6, 5, 4)).state_dict())
    assert found.assumptions[0].startswith("The activation is ReLU: a state dict does not hold it")
    with pytest.raises(SpecError, match="activation='swish' is not possible: choose one of relu"):
        recognise(sequential_mlp((6, 5, 4)).state_dict(), activation="swish")


@pytest.mark.parametrize(
    ("names", "widths"),
    [
        (tuple(f"layer{i}" for i in range(12)), (6, *range(5, 16), 3)),
        (("fc1", "fc2", "fc3"), (8, 6, 6, 4)),
        (("input", "hidden1", "hidden2", "output"), (6, 6, 6, 6, 6)),
        (("zeta", "beta", "alpha"), (8, 7, 6, 4)),
        (("fc_in", "fc_middle", "fc_out"), (5, 5, 5, 5)),
    ],
)
def test_named_stacks_run_in_the_right_order(names, widths):
    module = NamedMLP(names, widths)
    assert_same_function(module, recognise(module.state_dict()), traced=False)


def test_shapes_decide_where_names_do_not():
    found = recognise(NamedMLP(("zeta", "beta", "alpha"), (8, 7, 6, 4)).state_dict())
    assert any(
        "outputs fit the next layer's inputs" in e and "zeta, beta" in e for e in found.evidence
    )


@pytest.mark.parametrize("layers", [1, 4])
def test_repair_layout(layers):
    module = RepairMLP(12, 6, layers, 4)
    found = recognise(module.state_dict())
    assert found.title == "MLP " + "-".join(map(str, (12, *[6] * (layers + 1), 4))) + ", BatchNorm"
    assert any("No bias in fc1, layers.0" in sentence for sentence in found.evidence)
    assert_same_function(module, found)


def test_wrapped_names_and_any_order_of_the_dict():
    inner = sequential_mlp((9, 6, 6, 4), nn.BatchNorm1d)
    module = nn.ModuleDict({"net": nn.ModuleDict({"module": inner})})
    state = dict(reversed(module.state_dict().items()))
    found = recognise(state)
    assert found.names["layers.linear.0.weight"] == "net.module.1.weight"
    assert found.config == recognise(inner.state_dict()).config


def test_norm_in_front_and_behind():
    module = nn.Sequential(
        nn.BatchNorm1d(6), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 4), nn.BatchNorm1d(4)
    )
    found = recognise(module.state_dict())
    assert "0 normalises the 6 inputs." in found.evidence
    assert_same_function(module, found)


def test_norm_options():
    module = sequential_mlp((9, 6, 4), lambda width: nn.LayerNorm(width, eps=0.1))
    found = recognise(module.state_dict(), norm_eps=0.1, norm_position="before")
    assert "Norms come before the activation, as given." in found.assumptions
    assert "The norms use eps 0.1 (norm_eps=…)." in found.assumptions
    assert_same_function(module, found)
    with pytest.raises(SpecError, match="norm_eps=-1 is not possible: give a positive number"):
        recognise(module.state_dict(), norm_eps=-1)
    with pytest.raises(SpecError, match="norm_position='aside' is not possible"):
        recognise(module.state_dict(), norm_position="aside")


def test_a_layer_that_does_not_fit_is_named():
    state = sequential_mlp((9, 6, 5, 4)).state_dict()
    state["3.weight"] = torch.zeros(5, 7)
    with pytest.raises(UnknownArchitectureError, match=r"3\.weight \[5, 7\] takes 7 inputs, but 1"):
        recognise(state)


def test_a_norm_that_does_not_fit_is_named():
    state = sequential_mlp((9, 6, 5, 4)).state_dict() | nn.LayerNorm(11).state_dict(prefix="2.")
    with pytest.raises(UnknownArchitectureError, match=r"norm 2 \[11\] follows no layer with 11"):
        recognise(state)


def test_a_norm_of_images_is_refused():
    state = sequential_mlp((9, 6, 5, 4)).state_dict() | nn.LayerNorm((6, 2, 2)).state_dict(
        prefix="2."
    )
    with pytest.raises(UnknownArchitectureError, match="The norm 2 is one of images"):
        recognise(state)


def test_norms_of_two_kinds_and_half_biased_are_refused():
    state = sequential_mlp((9, 6, 5, 4), nn.LayerNorm).state_dict()
    mixed = state | nn.BatchNorm1d(5).state_dict(prefix="5.")
    with pytest.raises(UnknownArchitectureError, match=r"is a .* norm, the other norms are not"):
        recognise(mixed)
    del state["5.bias"]
    with pytest.raises(UnknownArchitectureError, match="The norm 5 has no bias, others have one"):
        recognise(state)


def test_no_linear_layer():
    with pytest.raises(UnknownArchitectureError, match="There is no linear layer"):
        recognise(nn.LayerNorm(4).state_dict())
