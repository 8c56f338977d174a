"""`inspect` as it is typed: text and JSON, headers alone, the self-test, its exit codes."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save, save_file
from torch import nn

from engine.commandline import main
from engine.commandline.inspect_text import inspection_text


def network(seed: int, hidden: tuple[int, ...] = (12,)) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    sizes = (20, *hidden, 5)
    layers = [nn.Linear(one, two) for one, two in pairwise(sizes)]
    return nn.Sequential(*layers).state_dict()


@pytest.fixture
def file(tmp_path) -> str:
    path = tmp_path / "a.safetensors"
    save_file(network(0), path)
    return str(path)


def run(capsys, *arguments: str) -> tuple[int, str]:
    code = main(["inspect", *arguments])
    return code, capsys.readouterr().out


def test_the_text_is_short_and_says_everything(file, capsys):
    code, out = run(capsys, file)
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == (
        "a.safetensors: MLP 20-12-5, 317 parameters, 4 tensors, 1.3 kB (safetensors)"
    )
    assert (
        "10^8 networks compute the same function: 1 permutation group, 98.4% of the parameters move"
        in lines
    )
    assert "  [1] 0: 12 units in 3 tensors" in lines
    assert "  it meets an input of the model: 0.weight axis 1 (20)" in lines
    assert "ops without a rule: none" in lines
    assert any(line.startswith("proof: 2 random permutations") for line in lines)
    assert "tensors" not in lines


def test_the_tree_is_printed_when_asked_for(file, capsys):
    _, out = run(capsys, file, "--tree")
    assert "    weight  12 × 20  float32" in out.splitlines()


def test_json_is_complete(file, capsys):
    code, out = run(capsys, file, "--json", "--self-test")
    assert code == 0
    (found,) = json.loads(out)["checkpoints"]
    assert found["name"] == "a.safetensors"
    assert (found["family"], found["parameters"], found["moved_parameters"]) == ("mlp", 317, 312)
    assert [tensor["name"] for tensor in found["tensors"]] == [
        "0.bias",
        "0.weight",
        "1.bias",
        "1.weight",
    ]
    assert [layer["kind"] for layer in found["graph"]] == ["input", "linear", "linear", "output"]
    assert found["proof"]["passed"]
    assert found["self_test"]["recovered"]
    assert found["self_test"]["groups"][0]["exact"] == 12
    assert found["problem"] is None
    assert found["seconds"]["proof"] > 0


def test_the_self_test_depends_on_its_seed_alone(file, capsys):
    _, one = run(capsys, file, "--self-test", "--seed", "5")
    _, two = run(capsys, file, "--self-test", "--seed", "5")
    assert "12 of 12 units recovered" in one
    assert ", seed 5)" in one
    assert "put back into their places" in two


def test_headers_alone_do_without_the_weights(tmp_path, capsys):
    path = tmp_path / "cut.safetensors"
    data = save(network(0))
    path.write_bytes(data)
    code, out = run(capsys, str(path), "--header-only")
    assert code == 0
    assert "  [1] 0: 12 units" in out
    assert "proof: none, since the weights were not read" in out
    path.write_bytes(data[:-100])
    code, out = run(capsys, str(path), "--header-only")
    assert code == 1
    assert "not as it should be: cut.safetensors: it is cut off" in out
    assert "  [1] 0: 12 units" in out


def test_headers_of_several_files_are_compared(tmp_path, file, capsys):
    other = tmp_path / "b.safetensors"
    save_file(network(1), other)
    assert "All 2 checkpoints fit together" in run(capsys, file, str(other), "--header-only")[1]
    save_file(network(1, (13,)), other)
    assert main(["inspect", file, str(other), "--header-only"]) == 1
    captured = capsys.readouterr()
    assert "[1] 0: 13 units" in captured.out
    assert "do not have the same tensors" in captured.err


def test_an_unknown_architecture_shows_its_tensors(tmp_path, capsys):
    path = tmp_path / "odd.safetensors"
    save_file({"mystery.weight": torch.ones(2, 3, 4, 5, 6)}, path)
    code, out = run(capsys, str(path))
    assert code == 1
    assert "odd.safetensors: architecture unknown, 1 tensor, 2.9 kB" in out
    assert "2 × 3 × 4 × 5 × 6" in out
    assert "No known family fits" in out


def test_a_dead_network_is_not_proved(tmp_path, file, capsys):
    dead = {name: torch.zeros_like(tensor) for name, tensor in load_file(file).items()}
    save_file(dead, tmp_path / "dead.safetensors")
    code, out = run(capsys, str(tmp_path / "dead.safetensors"))
    assert code == 1
    assert "  [1] 0: 12 units" in out
    assert "not proved: the model's outputs do not depend on its inputs" in out


def test_identical_units_are_no_failure(tmp_path, capsys):
    tensors = network(0)
    tensors["0.weight"][3], tensors["0.bias"][3] = tensors["0.weight"][7], tensors["0.bias"][7]
    tensors["1.weight"][:, 3] = tensors["1.weight"][:, 7]
    save_file(tensors, tmp_path / "tied.safetensors")
    for seed in range(4):
        code, out = run(
            capsys, str(tmp_path / "tied.safetensors"), "--self-test", "--seed", str(seed)
        )
        assert code == 0
        assert "12 of 12 units recovered" in out


def test_a_self_test_that_fails_is_exit_code_one(file, capsys, monkeypatch):
    class Failed:
        seconds = 0.1
        summary = {  # noqa: RUF012
            "recovered": False,
            "sentence": "Not every unit was put back: 0 (2 of 12).",
            "units": 12,
            "exact": 10,
            "tied": 0,
            "sweeps": 3,
            "seed": 0,
        }

    monkeypatch.setattr("engine.commandline.inspect.self_test", lambda *_, **__: Failed)
    code, out = run(capsys, file, "--self-test")
    assert code == 1
    assert "self-test: 10 of 12 units NOT recovered in 0.1 s (3 sweeps, seed 0)" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--header-only", "--self-test"], "--self-test needs the weights"),
        (["org/name:file", "--header-only"], "--header-only reads files on this machine"),
        (["org/name", "--header-only"], "--header-only reads files on this machine"),
        (["missing.safetensors", "--header-only"], "there is no such file"),
        (["missing.safetensors"], "error: there is no file 'missing.safetensors' here\n"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(arguments, message, file, capsys):
    assert main(["inspect", *([file] if len(arguments[0]) > 12 else []), *arguments]) == 1
    assert message in capsys.readouterr().err


def test_long_lists_are_folded(tmp_path: Path, capsys):
    save_file(network(0, tuple(range(3, 25))), tmp_path / "deep.safetensors")
    _, out = run(capsys, str(tmp_path / "deep.safetensors"))
    assert "  … and 10 more groups (--json lists them all)" in out.splitlines()


def test_nested_groups_are_told():
    group = {"number": 2, "name": "q", "size": 4, "copies": 3, "within": 1, "layers": ["q.weight"]}
    report = {
        "name": "x",
        "format": "npz",
        "notes": [],
        "problem": None,
        "tensors": [],
        "evidence": [],
        "assumptions": [],
        "groups": [group],
        "log10_copies": 2.0,
        "moved_parameters": 1,
        "total_parameters": 2,
        "fixed": [],
        "ops_without_rule": ["aten.odd.default"],
        "facts": {"inputs": [], "operations": {}, "output": None},
        "proof": None,
        "self_test": None,
    }
    text = inspection_text(report)
    nested = "(3 times, one permutation for each unit of group 1)"
    assert f"  [2] q: 4 units in q.weight {nested}" in text.splitlines()
    assert "100 networks compute the same function" in text
    assert "ops without a rule: aten.odd.default" in text
