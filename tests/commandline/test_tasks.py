"""compare and match from end to end: a regression, and a language model from .pt2 files."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import nn

from engine import save_program
from engine.checkpoints import write_checkpoint
from engine.commandline.main import main
from tests.studies.test_tasks import LENGTH, VOCABULARY, Language, regressor

FEW = ["--line", "3", "--plane", "3"]


@pytest.fixture(scope="module")
def regression(tmp_path_factory):
    folder = tmp_path_factory.mktemp("regression")
    files = []
    for seed in (0, 1):
        files.append(str(folder / f"{seed}.safetensors"))
        write_checkpoint(regressor(seed).state_dict(), files[-1])
    generator = np.random.default_rng(0)
    x, y = (generator.standard_normal((50, size)).astype(np.float32) for size in (5, 2))
    np.savez(folder / "data.npz", inputs=x, targets=y)
    return files, folder / "data.npz", torch.from_numpy(x), torch.from_numpy(y)


def test_a_regression_is_compared_from_files(regression, tmp_path, capsys):
    files, data, x, y = regression
    command = ["compare", *files, "--data", str(data), *FEW]
    assert main([*command, "-o", str(tmp_path / "out"), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    error = nn.functional.mse_loss(regressor(0)(x), y).item()
    assert report["loss"]["a"]["test"] == pytest.approx(error, rel=1e-5)
    assert report["task"]["kind"] == "regression"
    variance = y.double().var(0, correction=0).mean().item()
    assert report["r2"]["a"]["test"] == pytest.approx(1 - error / variance, abs=1e-5)
    assert "accuracy" not in report
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "mean squared error" in page
    assert main(command) == 0
    out, err = capsys.readouterr()
    assert "✓ π(B) is B: the largest difference in any output on 50 samples" in out
    assert "data.npz is one set: the same samples serve as train and as test" in out
    assert "deriving the symmetry\nproving it\nmatching\n" in err, "a log gets no bar"
    assert "%" not in err
    assert "A → π(B), midpoint R²" in out
    assert "NaN" not in out


def test_a_wrong_task_is_one_sentence(regression, tmp_path, capsys):
    files, _, x, _ = regression
    np.savez(tmp_path / "own.npz", inputs=x.numpy(), targets=np.arange(50.0))
    assert main(["compare", *files, "--data", str(tmp_path / "own.npz")]) == 1
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert "targets of shape [N], but the model returns [N, 2]" in last


@pytest.fixture(scope="module")
def language(tmp_path_factory):
    folder = tmp_path_factory.mktemp("language")
    files = []
    for seed in (0, 1):
        files.append(str(folder / f"{seed}.pt2"))
        save_program(Language(seed), torch.zeros(2, LENGTH).long(), files[-1])
    tokens = np.random.default_rng(0).integers(0, VOCABULARY, (40, LENGTH + 1), dtype=np.uint8)
    np.savez(folder / "data.npz", inputs=tokens[:, :-1], targets=tokens[:, 1:])
    return files, folder / "data.npz", torch.from_numpy(tokens).long()


def test_a_language_model_is_compared_from_pt2_files(language, capsys):
    files, data, tokens = language
    command = ["compare", *files, "--data", str(data), *FEW]
    assert main([*command, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    logits = Language(0)(tokens[:, :-1])
    loss = nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten()).item()
    right = (logits.argmax(2) == tokens[:, 1:]).float().mean().item()
    assert report["loss"]["a"]["test"] == pytest.approx(loss, rel=1e-5)
    assert report["perplexity"]["a"]["test"] == pytest.approx(np.exp(loss), rel=1e-5)
    assert report["accuracy"]["a"]["test"] == pytest.approx(right)
    assert report["task"]["answers"]["test"] == 40 * LENGTH
    assert report["max_abs_logit_difference"] < 1e-5
    assert main(command) == 0
    out = capsys.readouterr().out
    assert "A → B, midpoint tokens right" in out
    assert "A → B, midpoint perplexity" in out


def test_match_checks_a_language_model_on_tokens(language, capsys):
    files, data, _ = language
    assert main(["match", *files, "--data", str(data), "--samples", "all"]) == 0
    assert "on 40 samples of data.npz" in capsys.readouterr().out
    assert main(["match", *files]) == 0
    assert "on 256 random inputs" in capsys.readouterr().out
