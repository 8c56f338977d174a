"""Inspect: counted by hand, from values, from headers alone, and where something is unknown."""

from __future__ import annotations

import json
from itertools import pairwise
from math import factorial, log10
from pathlib import Path

import pytest
import torch
from safetensors.torch import save, save_file
from torch import nn

from engine.checkpoints import Checkpoint, fingerprint, read_header_only
from engine.errors import SpecError
from engine.program import capture
from engine.studies.inspect import inspect_header, inspect_network
from engine.studies.result import json_ready
from tests.symmetry.nets import Attention

SIZES = (784, 12, 7, 10)


def mlp(seed: int = 0) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for inside, outside in pairwise(SIZES):
        layers += [nn.Linear(inside, outside), nn.ReLU()]
    return nn.Sequential(*layers[:-1]).state_dict()


def of(tensors: dict[str, torch.Tensor], name: str = "m.safetensors") -> Checkpoint:
    return Checkpoint(tensors, fingerprint(tensors), name, "safetensors")


def test_an_mlp_counted_by_hand():
    found = inspect_network(of(mlp())).summary
    total = 784 * 12 + 12 + 12 * 7 + 7 + 7 * 10 + 10
    assert found["model"]["parameters"] == total
    assert found["model"]["title"] == "MLP 784-12-7-10"
    symmetry = found["symmetry"]
    expected = log10(factorial(12)) + log10(factorial(7))
    assert symmetry["log10_copies"] == pytest.approx(expected)
    assert symmetry["moved_parameters"] == total - 10  # all but the output's bias
    assert [(g["number"], g["name"], g["size"]) for g in symmetry["groups"]] == [
        (1, "0", 12),
        (2, "2", 7),
    ]
    assert symmetry["groups"][0]["axes"] == [
        {"parameter": "0.weight", "axis": 0},
        {"parameter": "0.bias", "axis": 0},
        {"parameter": "2.weight", "axis": 1},
    ]
    assert found["proof"]["passed"]
    assert found["proof"]["max_abs_difference"] < 1e-9
    assert found["tensors"][0] == {
        "name": "0.weight",
        "shape": [12, 784],
        "dtype": "float32",
        "bytes": 4 * 12 * 784,
    }
    assert json.loads(json.dumps(found)) == json_ready(found)


def test_what_is_known_is_told_as_soon_as_it_is():
    events: list = []
    found = inspect_network(of(mlp()), progress=events.append)
    stages = [event["stage"] for event in events if event["kind"] == "stage"]
    assert stages == ["recognise", "trace", "symmetry", "proof", "done"]
    known = [event["summary"] for event in events if event["kind"] == "partial"]
    assert known[0]["tensors"] == found.summary["tensors"]
    assert known[-1]["graph"] == json_ready(found.summary["graph"])
    assert set(found.provenance["seconds"]) == {"recognise", "trace", "symmetry", "proof"}


def test_an_unknown_architecture_keeps_its_tensors():
    found = inspect_network(of({"mystery.weight": torch.ones(2, 3, 4, 5, 6)}, "odd.npz"))
    assert [t["name"] for t in found.summary["tensors"]] == ["mystery.weight"]
    assert found.summary["model"] is None
    assert found.summary["problem"].startswith("odd.npz: No known family fits")
    assert found.summary["symmetry"] is found.summary["proof"] is found.program is None


def test_a_dead_network_is_not_proved_and_the_rest_is_shown():
    dead = {name: torch.zeros_like(tensor) for name, tensor in mlp().items()}
    found = inspect_network(of(dead)).summary
    assert [g["size"] for g in found["symmetry"]["groups"]] == [12, 7]
    assert found["proof"]["passed"] is False
    assert "do not depend on its inputs (dead units or zero weights)" in found["proof"]["reason"]


def test_values_that_are_no_numbers_are_the_reason():
    broken = mlp()
    broken["2.weight"][3, 4] = float("nan")
    found = inspect_network(of(broken)).summary
    assert found["proof"]["passed"] is False
    assert "m.safetensors" in found["proof"]["reason"]
    assert "2.weight" in found["proof"]["reason"]
    assert len(found["graph"]) == 5


def test_headers_alone_tell_everything_but_the_proof(tmp_path):
    save_file(mlp(), tmp_path / "m.safetensors")
    expected = inspect_network(of(mlp())).summary
    found = inspect_header(read_header_only(tmp_path / "m.safetensors")).summary
    for part in ("model", "symmetry", "graph"):
        assert found[part] == expected[part]
    assert sorted(found["tensors"], key=str) == sorted(expected["tensors"], key=str)
    assert found["proof"] is found["problem"] is None


def test_a_file_without_its_weights_still_tells_its_groups(tmp_path: Path):
    cut = tmp_path / "cut.safetensors"
    data = save(mlp())
    cut.write_bytes(data[: 8 + int.from_bytes(data[:8], "little")])
    found = inspect_header(read_header_only(cut)).summary
    assert [g["size"] for g in found["symmetry"]["groups"]] == [12, 7]
    assert found["problem"].startswith("cut.safetensors: it is cut off")


def test_nested_groups_name_the_group_that_they_are_in():
    module = Attention().eval()
    program = capture(module, torch.zeros(2, 5, dtype=torch.long))
    tensors = {name: tensor.detach() for name, tensor in module.named_parameters()}
    found = inspect_network(of(tensors), program=program).summary
    groups = {g["number"]: g for g in found["symmetry"]["groups"]}
    nested = [g for g in groups.values() if g["copies"] > 1]
    assert nested
    for group in nested:
        assert group["copies"] == groups[group["within"]]["size"] == 2
    assert found["model"]["title"] == "A model of your own"
    assert found["proof"]["passed"]


def test_unknown_options_are_refused():
    with pytest.raises(SpecError, match="nonsense"):
        inspect_network(of(mlp()), overrides={"nonsense": 1})
