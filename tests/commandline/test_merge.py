"""`merge`: one table, one file, JSON, and errors before anything is read."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from engine.checkpoints import read_checkpoint, write_checkpoint
from engine.commandline import main


@pytest.fixture
def networks(tmp_path):
    paths = []
    for seed in range(3):
        torch.manual_seed(seed)
        module = nn.Sequential(nn.Linear(784, 8), nn.ReLU(), nn.Linear(8, 10))
        paths.append(str(tmp_path / f"net{seed}.safetensors"))
        write_checkpoint(module.state_dict(), paths[-1])
    return paths


def test_the_table_and_the_file(networks, tmp_path, capsys):
    output = tmp_path / "merged.npz"
    given = ["merge", *networks, "--samples", "40", "--repair", "temperature", "-o", str(output)]
    assert main(given) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert lines[0].startswith("3 networks merged into one: test loss ")
    assert [line.split("  ")[0] for line in lines[2:9]] == [
        *(f"net{seed}.safetensors" for seed in range(3)),
        *("naive average", "merged", "merged, softmax temperature", "ensemble of the inputs"),
    ]
    assert lines[-1] == f"written to {output}"
    assert "merging and repairing" in captured.err
    assert set(read_checkpoint(output).tensors) == {"0.weight", "0.bias", "2.weight", "2.bias"}


def test_what_is_doubtful_is_said_under_the_table(networks, monkeypatch, capsys):
    monkeypatch.setattr("engine.repair.run.KNOWN_BY_HEART", -1.0)
    assert main(["merge", *networks, "--samples", "40", "--repair", "temperature"]) == 0
    assert "what a model knows by heart can make it too sure" in capsys.readouterr().out


def test_json_and_a_method_of_two(networks, capsys):
    given = ["merge", *networks[:2], "--samples", "40", "--method", "weight", "--json"]
    assert main([*given, "--method-option", "restarts=2"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [row["kind"] for row in report["rows"]] == ["input"] * 2 + [
        *("naive", "merged", "ensemble")
    ]
    assert (report["alignment"]["method"], report["output"]) == ("weight", None)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["-o", "merged.txt"], "is written as .safetensors, .pt, .pth, .bin or .npz"),
        (["-o", "{first}"], "is also"),
        (["--method-option", "restarts=2"], "MergeMany has no option restarts"),
        (["--repair", "reset"], "no BatchNorm with running statistics"),
    ],
)
def test_errors_are_one_sentence(extra, message, networks, capsys):
    given = [text.replace("{first}", networks[0]) for text in extra]
    assert main(["merge", *networks, "--samples", "40", *given]) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--method-option", "restarts=2"], "MergeMany has no option restarts; its options are"),
        (["--method-option", "max_sweeps=x"], "max_sweeps must be a whole number, not 'x'"),
        (["--method-option", "max_rounds=0"], "max_rounds must be at least 1, not 0"),
        (["--method", "weight", "--method-option", "glue=2"], "matching has no option glue"),
        (["--method", "weight", "--method-option", "restarts=0"], "restarts must be at least 1"),
        (["--method-option", "restarts"], "--method-option takes NAME=VALUE, not 'restarts'"),
    ],
)
def test_options_are_checked_before_anything_is_read(extra, message, capsys):
    assert main(["merge", "no-such-file", "nor-this", *extra]) == 1
    assert message in capsys.readouterr().err


def test_three_that_do_not_fit_are_called_by_their_names(networks, tmp_path, capsys):
    wide = tmp_path / "wide.safetensors"
    module = nn.Sequential(nn.Linear(784, 9), nn.ReLU(), nn.Linear(9, 10))
    write_checkpoint(module.state_dict(), wide)
    assert main(["merge", *networks[:2], str(wide), "--samples", "40"]) == 1
    message = capsys.readouterr().err
    assert "'0.weight' is 8×784 in net0.safetensors and 9×784 in wide.safetensors" in message


def test_one_network_twice_is_as_good_as_itself(networks, capsys):
    assert main(["merge", networks[0], networks[0], "--samples", "40"]) == 0
    assert ", as high as the mean of its inputs." in capsys.readouterr().out.splitlines()[0]


def test_one_network_is_not_enough(capsys):
    assert main(["merge", "no-such-file", "--samples", "40"]) == 1
    assert "takes 2 to 64 checkpoints, not 1" in capsys.readouterr().err
