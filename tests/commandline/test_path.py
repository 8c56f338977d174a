"""`path`: one table, a folder, JSON, and errors before anything is computed."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from engine.checkpoints import read_checkpoint, write_checkpoint
from engine.commandline import main
from engine.errors import TrainingError

QUICK = ["--samples", "40", "--batch-size", "20", "--epochs", "2", "--points", "3", "--plane", "0"]


@pytest.fixture
def networks(tmp_path):
    paths = []
    for seed in range(2):
        torch.manual_seed(seed)
        module = nn.Sequential(nn.Linear(784, 8), nn.ReLU(), nn.Linear(8, 10))
        paths.append(str(tmp_path / f"net{seed}.safetensors"))
        write_checkpoint(module.state_dict(), paths[-1])
    return paths


def test_the_table_and_the_folder(networks, tmp_path, capsys):
    output = tmp_path / "out"
    given = ["path", *networks, *QUICK, "--shape", "polygon", "--bends", "2", "-o", str(output)]
    assert main(given) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert "A and B" in lines[0] or "A to B" in lines[0]
    assert lines[1].startswith("polygonal chain of 2 bends; Adam at 0.001, 2 epochs of 40 training")
    assert [line.split("  ")[0] for line in lines[2:5]] == [
        *("way", "straight line A → B", "curve A → B")
    ]
    assert lines[-1] == f"written to {output}"
    assert "training the curve" in captured.err
    assert set(read_checkpoint(output / "bend-b-2.safetensors").tensors) == {
        *("0.weight", "0.bias", "2.weight", "2.bias")
    }


def test_json_and_bends_to_begin_with(networks, capsys):
    given = ["path", *networks, *QUICK, "--end", "pi_b", "--rate", "1e-12", "--json"]
    assert main([*given, "--start", networks[0]]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["proof"]["passed"]
    assert list(report["paths"]) == ["pi_b"]
    models = report["paths"]["pi_b"]["models"]
    assert models[0]["test"]["loss"] == pytest.approx(models[1]["test"]["loss"], rel=1e-5)
    assert report["seconds"]["train"] > 0


def test_the_plane_of_a_curve_is_a_square(networks, capsys):
    with pytest.raises(SystemExit):
        main(["path", *networks, "--plane", "21x20"])
    assert "must be one number: the plane of a curve is a square" in capsys.readouterr().err


def test_a_diverged_training_is_told_and_ends_with_1(networks, capsys):
    wild = ["--optimiser", "sgd", "--rate", "1e6", "--weight-decay", "1e6", "--epochs", "20"]
    assert main(["path", *networks, *QUICK, *wild]) == 1
    assert "The training of the curve from A to B diverged" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--bends", "9"], "a curve takes 1 to 8 bends, not 9"),
        (["--extent=1,0,0,1"], "is no rectangle"),
        (["--batch-size", "50"], "the batch size 50 is larger than the training data (40 samples)"),
        (["--start", "x", "--bends", "2"], "--start was given 1 times for 2 bends"),
        (["-o", "{first}"], "is a file; name a folder"),
        (["--method-option", "glue=2"], "weight matching has no option glue"),
    ],
)
def test_errors_are_one_sentence(extra, message, networks, capsys):
    given = [text.replace("{first}", networks[0]) for text in extra]
    assert main(["path", *networks, *QUICK, *given]) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("name", ["--bends", "--epochs", "--batch-size"])
def test_counts_are_positive(name, networks, capsys):
    with pytest.raises(SystemExit):
        main(["path", *networks, name, "0"])
    assert "must be at least 1" in capsys.readouterr().err


def test_the_extent_of_the_plane_and_the_reset_are_passed_on(networks, monkeypatch):
    seen = {}

    def told(*_, options, **more):
        seen["options"] = options
        raise TrainingError("seen")

    monkeypatch.setattr("engine.commandline.path.path", told)
    assert main(["path", *networks, "--extent=-1,2,-1,1", "--no-reset"]) == 1
    assert seen["options"].extent == (-1, 2, -1, 1)
    assert seen["options"].reset is False
