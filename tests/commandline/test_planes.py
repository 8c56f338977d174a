"""`plane`: tables, files, JSON, and errors before anything is read."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import nn

from engine.checkpoints import write_checkpoint
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


QUICK = ("--samples", "40", "--points", "3")


def test_tables_and_files(networks, tmp_path, capsys):
    output = tmp_path / "out"
    given = ["plane", "pca", *networks, *QUICK, "-o", str(output), "--extent=-1,1,-1,1"]
    assert main(given) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert "of the variance of 3 checkpoints lies along this plane" in lines[0]
    assert [line.split("  ")[0] for line in lines[2:5]] == [
        f"{key}: net{n}.safetensors" for n, key in enumerate(("start", "2", "end"))
    ]
    assert any(line.startswith("variance along the axes") for line in lines)
    assert lines[-1] == f"written to {output}: open report.html there"
    assert "finding the plane's directions" in captured.err
    with np.load(output / "result.npz", allow_pickle=False) as arrays:
        assert arrays["plane_u"].tolist() == [-1, 0, 1]
        assert arrays["trajectory"].shape == (3, 2)
    page = (output / "report.html").read_text()
    assert "Training trajectory (PCA)" in page
    assert "The loss along the training" in page


def test_json(networks, capsys):
    assert main(["plane", "hessian", networks[0], *QUICK, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    first, second = report["plane"]["eigenvalues"]
    assert first > second
    assert report["rows"][0]["key"] == "model"
    assert report["output"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["three", "none.pt", "none.pt"], "takes 3 checkpoints, not 2"),
        (["random", "none.pt", "--matched"], "nothing to match"),
        (["random", "none.pt", "--extent=1,2"], "extent takes four numbers"),
        (["random", "none.pt", "--extent=1,0,0,1"], "is no rectangle"),
        (["hessian", "none.pt", "--most-products", "3"], "at least 50 products"),
    ],
)
def test_errors_are_one_sentence(arguments, message, capsys):
    assert main(["plane", *arguments]) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("points", ["1", "258"])
def test_a_grid_has_a_largest_side(points, capsys):
    with pytest.raises(SystemExit):
        main(["plane", "random", "none.pt", "--points", points])
    assert "must be from 2 to 257" in capsys.readouterr().err
