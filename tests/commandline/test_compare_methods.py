"""`methods`: several methods and repairs from the command line."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from engine.commandline import main


@pytest.fixture
def pair(tmp_path):
    paths = []
    for seed in range(2):
        torch.manual_seed(seed)
        module = nn.Sequential(nn.Linear(784, 6), nn.ReLU(), nn.Linear(6, 10))
        paths.append(str(tmp_path / f"{seed}.safetensors"))
        save_file({name: t.detach() for name, t in module.state_dict().items()}, paths[-1])
    return paths


SMALL = ["--samples", "40", "--line", "3", "--repair-samples", "30"]


def test_a_table_and_files(pair, tmp_path, capsys):
    given = ["methods", *pair, *SMALL, "--repair", "repair", "-o", str(tmp_path / "out")]
    assert main(given) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert lines[1].split()[:2] == ["method", "repair"]
    text = "\n".join(lines)
    for part in ("weight matching", "activation matching", "no matching", "REPAIR", "ensemble"):
        assert part in text
    assert "its lines" in captured.err
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"permutation-weight.safetensors", "result.npz", "summary.json"} <= names


def test_json_with_options(pair, capsys):
    chosen = ["--method", "weight:restarts=2", "--method", "activation:mixture=0.5"]
    assert main(["methods", *pair, *SMALL, *chosen, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [m["id"] for m in report["methods"]] == ["none", "weight", "activation"]
    assert len(report["methods"][1]["matching"]["restarts"]) == 2
    assert report["seconds"]["weight"]["match"] > 0
    assert {row["variant"] for row in report["rows"]} == {"plain"}


@pytest.mark.parametrize(
    ("method", "sentence"),
    [
        ("magic", "there is no matching method 'magic'"),
        ("weight:restarts", "--method takes KEY or KEY:NAME=VALUE"),
        ("weight:restarts=0", "restarts must be at least 1"),
        ("cosmos:x=1", "there is no matching method 'cosmos'"),
    ],
)
def test_a_wrong_method_is_said_before_anything_is_read(method, sentence, capsys):
    assert main(["methods", "no-such-file", "nor-this", "--method", method]) == 1
    assert sentence in capsys.readouterr().err


def test_no_method_that_works_is_an_error(pair, monkeypatch, capsys):
    monkeypatch.setattr("engine.studies.methods_alignment.obstacle", lambda *_: "too large")
    assert main(["methods", *pair, *SMALL, "--method", "weight"]) == 1
    assert "too large" in capsys.readouterr().out
