"""The command line, run in this process on small files: results, exit codes, messages."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from engine.commandline import main
from engine.families import build_program, recognise
from engine.symmetry import derive_symmetry

ROOT = Path(__file__).parent.parent.parent


def network(seed: int, hidden: int = 12) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    module = nn.Sequential(nn.Linear(784, hidden), nn.ReLU(), nn.Linear(hidden, 10))
    return {name: tensor.detach() for name, tensor in module.state_dict().items()}


@pytest.fixture
def files(tmp_path):
    paths = [tmp_path / "a.safetensors", tmp_path / "b.safetensors"]
    for seed, path in enumerate(paths):
        save_file(network(seed), path)
    return [str(path) for path in paths]


@pytest.fixture
def planted(tmp_path, files):
    a = load_file(files[0])
    symmetry = derive_symmetry(build_program(recognise(a)))
    permutation = symmetry.random(torch.Generator().manual_seed(5))
    save_file(symmetry.apply(permutation, a), tmp_path / "planted.safetensors")
    return [files[0], str(tmp_path / "planted.safetensors")]


def test_inspect_tells_family_groups_and_fit(files, capsys):
    assert main(["inspect", *files]) == 0
    out = capsys.readouterr().out
    assert "MLP 784-12-10" in out
    assert "0: 12 units" in out
    assert "ops without a rule: none" in out
    assert "All 2 checkpoints fit together" in out


def test_inspect_json(files, capsys):
    assert main(["inspect", files[0], "--json", "--option", "activation=tanh"]) == 0
    report = json.loads(capsys.readouterr().out)["checkpoints"][0]
    assert [(g["name"], g["size"]) for g in report["groups"]] == [("0", 12)]
    assert report["parameters"] == 784 * 12 + 12 + 12 * 10 + 10
    assert report["proof"]["passed"] is True
    assert report["assumptions"] == ["The activation is tanh, as given."]


def test_match_recovers_a_planted_permutation(planted, tmp_path, capsys):
    output, permutation = tmp_path / "pi.safetensors", tmp_path / "p.safetensors"
    arguments = ["match", *planted, "-o", str(output), "--permutation", str(permutation), "--json"]
    assert main(arguments) == 0
    captured = capsys.readouterr()
    report = json.loads(captured.out)
    assert "weight matching: 100 %" in captured.err
    for name in ("objective", "objective_identity", "sweeps", "seconds", "stop_reason"):
        assert name in report
    assert report["stop_reason"] == "converged"
    assert report["max_abs_logit_difference"] < 1e-5
    a, pi_b = load_file(planted[0]), load_file(output)
    assert all(torch.equal(pi_b[name], tensor) for name, tensor in a.items())
    assert sorted(load_file(permutation)["0"].tolist()) == list(range(12))


def test_match_checks_on_data_and_prints_plainly(files, capsys):
    assert main(["match", *files, "--data", "mnist", "--samples", "50", "--restarts", "2"]) == 0
    out = capsys.readouterr().out
    assert "50 samples of mnist" in out
    assert "π(B) is B" in out


def test_compare_writes_everything_that_it_reports(files, tmp_path, capsys):
    folder = tmp_path / "out"
    arguments = ["compare", *files, "--samples", "60", "--line", "5", "--plane", "4"]
    assert main([*arguments, "-o", str(folder), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    stored = np.load(folder / "result.npz", allow_pickle=False)
    for edge in ("naive", "rebasin"):
        for split in ("train", "test"):
            curve = stored[f"curve_{edge}_{split}_loss"]
            expected = curve.max() - (curve[0] + curve[-1]) / 2
            assert report["barrier"][edge][split] == pytest.approx(expected)
            assert report["loss"][f"midpoint_{edge}"][split] == pytest.approx(curve[2])
    assert 0 <= report["accuracy"]["a"]["test"] <= 1
    assert report["basins"]["count"] >= 0
    assert report["seconds"]["evaluate"] > 0
    assert stored["plane_test_loss"].shape == (4, 4)
    assert json.loads(str(stored["summary"])) == json.loads((folder / "summary.json").read_text())
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "Plotly" in page
    a, pi_b = load_file(files[0]), load_file(folder / "pi_b.safetensors")
    middle = load_file(folder / "midpoint.safetensors")
    torch.testing.assert_close(middle["0.weight"], (a["0.weight"] + pi_b["0.weight"]) / 2)


def test_compare_says_what_a_precision_costs(files, capsys):
    arguments = ["compare", *files, "--samples", "40", "--line", "3", "--plane", "0"]
    assert main([*arguments, "--precision", "fast"]) == 0
    assert "computed in bfloat16; at A, B and π(B)" in capsys.readouterr().out
    assert main([*arguments, "--precision", "tf32", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["precision"]
    assert (found["kind"], found["loss_error"]) == ("tf32", 0.0)
    assert "here tf32 computes as exact does" in found["warning"]


def test_compare_evaluates_part_of_a_plane_and_says_so(files, tmp_path, capsys):
    few = ["compare", *files, "--samples", "40", "--line", "3"]
    folder = tmp_path / "out"
    assert main([*few, "--plane", "9x8", "--preview", "5%", "-o", str(folder)]) == 0
    out = capsys.readouterr().out
    assert "Stopped at the accuracy that was asked for" in out
    assert "Basins and passes are read off an estimated plane" in out
    assert np.load(folder / "result.npz")["plane_test_error"].shape == (8, 9)
    assert main([*few, "--plane", "4", "--plane-seconds", "1e-9", "--json"]) == 0
    plane = json.loads(capsys.readouterr().out)["plane"]
    assert (plane["mode"], plane["estimate"]["accuracy"]) == ("progressive", 0.01)
    assert main([*few, "--plane", "4", "--sobol", "64", "--json"]) == 0
    plane = json.loads(capsys.readouterr().out)["plane"]
    assert (plane["mode"], plane["estimate"]["points_full"]) == ("sobol", 64)


def test_compare_repairs_every_point_and_says_what_that_costs(files, capsys):
    arguments = ["compare", *files, "--samples", "40", "--line", "3", "--plane", "0"]
    assert main([*arguments, "--statistics", "repair"]) == 0
    assert "REPAIR rescales" in capsys.readouterr().out
    assert main([*arguments, "--statistics", "interpolate", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["statistics"]["samples"] == 0


def test_compare_without_a_plane_prints_the_sentence_and_a_table(files, capsys):
    assert main(["compare", *files, "--samples", "40", "--line", "3", "--plane", "0"]) == 0
    out = capsys.readouterr().out
    assert "barrier" in out
    assert "A → π(B), midpoint accuracy" in out


def test_train_writes_a_checkpoint_that_is_recognised(tmp_path, capsys):
    torch.manual_seed(0)
    data = tmp_path / "data.npz"
    inputs = np.random.default_rng(0).random((60, 784), dtype=np.float32)
    np.savez(data, inputs=inputs, targets=np.arange(60) % 10)
    out, epochs = tmp_path / "new" / "m.safetensors", tmp_path / "epochs"
    arguments = ["train", "mnist-mlp", "--seed", "3", "--out", str(out), "--width", "8"]
    arguments += ["--epochs", "2", "--batch-size", "20", "--data", str(data)]
    assert main([*arguments, "--checkpoints", str(epochs), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["epoch"] == 2
    assert sorted(path.name for path in epochs.iterdir()) == [
        "epoch-001.safetensors",
        "epoch-002.safetensors",
    ]
    last = load_file(epochs / "epoch-002.safetensors")
    final = load_file(out)
    assert all(torch.equal(last[name], tensor) for name, tensor in final.items())
    assert recognise(final).title == "MLP 784-8-8-8-10"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["inspect", "nope.safetensors"], "nope.safetensors"),
        (["train", "nothing", "--seed", "0", "--out", "x"], "no recipe 'nothing'"),
        (["match", "{a}", "{b}", "--option", "activation"], "NAME=VALUE"),
        (["compare", "{a}", "{b}", "--data", "nothing"], "no data set 'nothing'"),
        (["compare", "{a}", "{folder}"], "it is a folder"),
        (["compare", "{a}", "{b}", "--sobol", "--plane-seconds", "9"], "--sobol evaluates all"),
        (["match", "{a}", "{b}", "-o", "/dev/null/x.safetensors"], "Not a directory"),
    ],
)
def test_errors_are_one_sentence_and_exit_code_one(arguments, message, files, tmp_path, capsys):
    names = {"a": files[0], "b": files[1], "folder": str(tmp_path)}
    assert main([text.format(**names) for text in arguments]) == 1
    captured = capsys.readouterr()
    last = captured.err.strip().splitlines()[-1]
    assert last.startswith("error: ")
    assert message.format(**names) in last
    assert captured.out == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--line", "4"], "odd"),
        (["--line", "99999999999"], "odd and from 3 to 1001"),
        (["--plane", "1"], "0 (no plane)"),
        (["--plane", "258"], "0 (no plane) or from 2 to 257"),
        (["--plane", "21x1"], "or two such as 21x20"),
        (["--preview", "120%"], "must be from 0 to 1, or from 0% to 100%"),
        (["--plane-seconds", "0"], "must be above 0"),
        (["--sobol", "100"], "must be a power of two from 64 to 4096"),
        (["--device", "zzz"], "must be cpu, cuda or cuda:0"),
        (["--device", "meta"], "must be cpu, cuda or cuda:0"),
        (["--device", "cuda:99"], "no device cuda:99 on this machine"),
        (["--samples", "0"], "at least 1"),
        (["--seed", "-1"], "between 0"),
        (["--nonsense"], "unrecognized"),
    ],
)
def test_wrong_usage_is_exit_code_two(arguments, message, files, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["compare", *files, *arguments])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_as_a_program_it_prints_json_alone_on_stdout(encoding, files):
    done = subprocess.run(
        [sys.executable, "-m", "engine", "inspect", files[0], "--json"],
        cwd=ROOT,
        env={**os.environ, "PYTHONIOENCODING": encoding},
        capture_output=True,
        text=True,
        check=True,
    )
    report = json.loads(done.stdout)["checkpoints"][0]
    assert report["family"] == "mlp"
    assert "784 → 12 → 10" in report["evidence"][0]


def test_letters_that_the_terminal_lacks_are_written_in_another_way(files):
    command = [sys.executable, "-m", "engine", "inspect", files[0]]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=True)
    assert rb"784 \u2192 12 \u2192 10" in done.stdout


def test_ctrl_c_while_it_starts_is_no_traceback(tmp_path):
    # A module of torch's name that is imported first and is interrupted.
    (tmp_path / "torch.py").write_text("raise KeyboardInterrupt")
    done = subprocess.run(
        [sys.executable, "-m", "engine", "inspect", "x"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")
