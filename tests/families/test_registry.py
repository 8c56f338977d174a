"""Tests of engine.families.registry: the boundary, its refusals and the kept Programs."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch
from torch import nn

from engine.errors import SpecError, UnknownArchitectureError
from engine.families import FAMILIES, build_program, mlp, module_from, recognise, registry
from tests.families.references import sequential_mlp


def test_every_family_declares_itself():
    names = [family.name for family in FAMILIES]
    assert names[:3] == ["mlp", "resnet", "vgg"]
    assert len(set(names)) == len(names)
    assert all("activation" in family.options for family in FAMILIES[:3])


def test_programs_are_kept_and_have_the_checkpoint_names():
    module = sequential_mlp((5, 4, 3))
    found = recognise(module.state_dict())
    program = build_program(found)
    assert set(program.parameters) == set(module.state_dict())
    assert build_program(recognise(module.state_dict())) is program
    other = recognise({f"net.{name}": t for name, t in module.state_dict().items()})
    assert set(build_program(other).parameters) == {f"net.{name}" for name in module.state_dict()}


def test_a_recognition_is_json():
    found = recognise(sequential_mlp((5, 4, 3), nn.BatchNorm1d).state_dict())
    again = json.loads(json.dumps(dataclasses.asdict(found)))
    assert again["config"] == found.config
    assert module_from(again["config"]).state_dict().keys() == found.module().state_dict().keys()


def test_order_values_and_dtype_do_not_matter():
    state = sequential_mlp((5, 4, 3)).state_dict()
    other = {name: torch.rand_like(state[name]).half() for name in reversed(list(state))}
    assert recognise(other) == recognise(state)


def test_unknown_options_are_refused():
    state = sequential_mlp((5, 4, 3)).state_dict()
    with pytest.raises(SpecError, match="colour is no option: choose among activation, final_pool"):
        recognise(state, colour="blue")
    with pytest.raises(
        SpecError, match=r"pools is no option of MLP .*: choose among activation, norm"
    ):
        recognise(state, pools=[1])
    assert recognise(state, pools=None) == recognise(state)


def test_an_unknown_config_is_refused():
    with pytest.raises(
        SpecError, match="config family='rnn' is unknown: choose one of mlp, resnet"
    ):
        module_from({"family": "rnn"})


def test_left_over_tensors_are_never_ignored():
    state = sequential_mlp((5, 4, 3)).state_dict()
    with pytest.raises(
        UnknownArchitectureError, match=r"temperature \[\] is no weight, bias or stat"
    ):
        recognise(state | {"temperature": torch.tensor(1.0)})
    with pytest.raises(UnknownArchitectureError, match=r"mask \[3\] is no weight"):
        recognise(state | {"mask": torch.zeros(3, dtype=torch.int64)})


def test_a_family_that_forgets_a_tensor_is_found_out(monkeypatch):
    def forgetful(layout, overrides):
        found = mlp.recognise(layout, overrides)
        names = {own: name for own, name in found.names.items() if name != "3.bias"}
        return dataclasses.replace(found, names=names)

    family = dataclasses.replace(mlp.FAMILY, recognise=forgetful)
    monkeypatch.setattr(registry, "FAMILIES", (family,))
    with pytest.raises(UnknownArchitectureError, match=r"would be left over: 3\.bias \[3\]\."):
        recognise(sequential_mlp((5, 4, 3)).state_dict())
