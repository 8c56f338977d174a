"""A `.pt2` on the command line: inspected, matched and compared like any checkpoint."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

import engine
from engine.checkpoints import read_checkpoint, write_checkpoint
from engine.commandline import main


class Gated(nn.Module):
    """A network that no family recognises, on images of MNIST."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(784, 6), nn.Linear(784, 6, bias=False)
        self.last = nn.Linear(6, 10)

    def forward(self, x):
        x = x.flatten(1)
        return self.last(torch.sigmoid(self.left(x)) * torch.tanh(self.right(x)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pt2")
    for seed, name in enumerate("ab"):
        torch.manual_seed(seed)
        module = Gated()
        engine.save_program(module, torch.zeros(2, 1, 28, 28), folder / f"{name}.pt2")
        write_checkpoint(module.state_dict(), folder / f"{name}.safetensors")
    return folder


def test_inspect_lends_the_graph_to_weights_that_follow(folder, capsys):
    files = [str(folder / "a.pt2"), str(folder / "b.safetensors")]
    assert main(["inspect", *files, "--json"]) == 0
    first, second = json.loads(capsys.readouterr().out)["checkpoints"]
    assert first["title"] == "your model (.pt2), inputs [1, 28, 28]"
    assert first["format"] == "pt2"
    for found in (first, second):
        assert [group["size"] for group in found["groups"]] == [6]
        assert found["proof"]["passed"]
    assert main(["inspect", files[1]]) == 1, "alone it is unknown"


def test_headers_of_a_pt2_show_its_graph_and_groups_and_lend_it(folder, capsys):
    files = [str(folder / "a.pt2"), str(folder / "b.safetensors")]
    assert main(["inspect", *files, "--header-only", "--json"]) == 0
    found, other = json.loads(capsys.readouterr().out)["checkpoints"]
    assert len(found["tensors"]) == 5
    facts = found["facts"]
    assert facts["inputs"] == [{"name": "x", "shape": [1, 28, 28], "dtype": "float32"}]
    assert facts["output"] == {"shape": [10], "dtype": "float32"}
    assert facts["operations"]["linear"] == 3
    assert [group["size"] for group in found["groups"]] == [6]
    assert (found["proof"], found["problem"]) == (None, None)
    assert other["groups"] == found["groups"]
    assert main(["inspect", files[0], "--header-only"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "  takes x [batch, 1, 28, 28] float32" in lines
    assert "  returns [batch, 10] float32" in lines
    assert any(line.startswith("  7 operations: linear 3, ") for line in lines)


@pytest.mark.parametrize("names", [("a.pt2", "b.safetensors"), ("a.safetensors", "b.pt2")])
def test_match_takes_the_graph_from_either_side(folder, names, tmp_path, capsys):
    out = tmp_path / "pi_b.safetensors"
    files = [str(folder / name) for name in names]
    assert main(["match", *files, "-o", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["max_abs_logit_difference"] < 1e-5
    assert set(read_checkpoint(out).tensors) == set(Gated().state_dict())


def test_compare_of_two_pt2(folder, capsys):
    files = [str(folder / name) for name in ("a.pt2", "b.pt2")]
    quick = ["--samples", "30", "--line", "3", "--plane", "0"]
    assert main(["compare", *files, *quick, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["proof"]["passed"]


def test_a_graph_takes_no_family_options(folder, capsys):
    assert main(["inspect", str(folder / "a.pt2"), "--option", "activation=relu"]) == 1
    assert "activation is no option of a.pt2: a .pt2 says all" in capsys.readouterr().err


def test_a_hostile_pt2_is_one_sentence(folder, tmp_path, capsys):
    bad = tmp_path / "bad.pt2"
    bad.write_bytes((folder / "a.pt2").read_bytes()[:-40])
    assert main(["inspect", str(bad)]) == 1
    assert capsys.readouterr().err.startswith("error: bad.pt2: its zip archive does not end")
