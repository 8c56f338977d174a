"""`match --method`: every method from the command line, and what one lacks is said at once."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

import engine
from engine.commandline import main
from engine.families import build_program, recognise
from engine.matching import METHODS, Needs
from engine.symmetry import derive_symmetry


@pytest.fixture
def planted(tmp_path):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(784, 12), nn.ReLU(), nn.Linear(12, 10))
    a = {name: tensor.detach() for name, tensor in module.state_dict().items()}
    symmetry = derive_symmetry(build_program(recognise(a)))
    permutation = symmetry.random(torch.Generator().manual_seed(5))
    paths = [tmp_path / name for name in ("a.safetensors", "b.safetensors")]
    for path, tensors in zip(paths, (a, symmetry.apply(permutation, a)), strict=True):
        save_file(tensors, path)
    return [str(path) for path in paths]


OPTIONS = {
    "weight": ([], {}),
    "activation": (["--data", "mnist", "--statistic", "inner_product"], {"samples": 100}),
    "ste": (["--data", "mnist", "--steps", "2"], {"judged_on": 100, "best_step": 0}),
    "sinkhorn": (["--steps", "40"], {"learnt": "weights"}),
    "frank-wolfe": (["--start", "identity"], {}),
    "cosine": ([], {}),
    "steepest": (["--data", "mnist"], {"slope_length": pytest.approx(0.5, abs=0.5)}),
}


@pytest.mark.parametrize("method", METHODS)
def test_every_method_writes_what_it_finds(method, planted, tmp_path, capsys):
    extra, expected = OPTIONS[method]
    output = tmp_path / "pi.safetensors"
    given = ["match", *planted, "--method", method, "-o", str(output), "--samples", "100", "--json"]
    assert main([*given, *extra]) == 0
    captured = capsys.readouterr()
    report = json.loads(captured.out)
    assert report["method"] == method
    assert expected.items() <= report.items()
    assert captured.err.splitlines()[-1] == f"{METHODS[method].title}: 100 %"
    a, pi_b = load_file(planted[0]), load_file(output)
    recovered = all(torch.equal(pi_b[name], tensor) for name, tensor in a.items())
    assert recovered == (method != "steepest")  # which has no reason to recover it


def test_a_mixture_is_taken(planted, capsys):
    given = ["match", *planted, "--method", "activation", "--mixture", "0.5", "--data", "mnist"]
    assert main([*given, "--samples", "50"]) == 0
    assert "sweep in" in capsys.readouterr().out


@pytest.mark.parametrize("method", [m.key for m in METHODS.values() if m.needs != Needs.NOTHING])
def test_a_method_without_its_data_says_so_before_it_reads_anything(method, capsys):
    assert main(["match", "no-such-file", "nor-this", "--method", method]) == 1
    message = capsys.readouterr().err
    assert f"{METHODS[method].title} needs {METHODS[method].needs.value}: give --data" in message


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--steps", "3"], "weight matching has no option --steps: it is for --method ste"),
        (["--restarts", "0"], "--restarts must be at least 1, not 0"),
        (
            ["--method", "activation", "--data", "mnist", "--mixture", "nan"],
            "--mixture must be above 0 and at most 1, not nan",
        ),
    ],
)
def test_options_that_make_no_sense_are_refused_before_anything_is_read(extra, message, capsys):
    assert main(["match", "no-such-file", "nor-this", *extra]) == 1
    assert message in capsys.readouterr().err


def test_what_only_an_option_needs_can_be_had_without_it(capsys):
    assert main(["match", "no-such-file", "nor-this", "--also-from", "activation"]) == 1
    message = capsys.readouterr().err
    assert "give --data, such as --data mnist, or leave --also-from out" in message


def test_data_that_cannot_be_read_are_told_before_anything_is_matched(planted, monkeypatch, capsys):
    monkeypatch.setattr("engine.commandline.match.matched", None)
    assert main(["match", *planted, "--data", "nowhere.npz"]) == 1
    assert "There is no file nowhere.npz." in capsys.readouterr().err


@pytest.mark.parametrize("method", ["ste", "steepest"])
def test_labels_that_do_not_fit_are_told_with_their_file(method, planted, tmp_path, capsys):
    data = tmp_path / "labels.npz"
    np.savez(data, inputs=np.zeros((20, 784), np.float32), targets=np.full(20, 11))
    assert main(["match", *planted, "--method", method, "--data", str(data)]) == 1
    message = capsys.readouterr().err
    assert "labels.npz has 12 classes, but the model has 10 outputs" in message


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is there")
def test_a_device_that_is_not_there_is_refused(planted, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["match", *planted, "--device", "cuda"])
    assert ended.value.code == 2
    assert "there is no device cuda on this machine; take cpu" in capsys.readouterr().err


def test_one_sweep_is_one(planted, capsys):
    assert main(["match", planted[0], planted[0]]) == 0
    assert "1 sweep in" in capsys.readouterr().out


def test_every_method_is_a_function_of_the_engine():
    for method in METHODS.values():
        assert callable(getattr(engine, method.call))
