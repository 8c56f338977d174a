"""Comparisons of language models and regressions, of several inputs and of half precision."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import engine
from engine.data import Dataset
from engine.errors import DataError
from engine.program import capture
from engine.studies.compare import compare
from engine.studies.options import CompareOptions
from tests.studies.test_compare import checkpoint

OPTIONS = CompareOptions(line_points=3, plane_points=3)
VOCABULARY, LENGTH = 7, 4


class Language(nn.Module):
    """One block of causal attention and one of two linear layers, over 7 tokens."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.tokens, self.places = nn.Embedding(VOCABULARY, 6), nn.Embedding(LENGTH, 6)
        self.norm, self.qkv, self.out = nn.LayerNorm(6), nn.Linear(6, 18), nn.Linear(6, 6)
        self.up, self.down, self.head = nn.Linear(6, 9), nn.Linear(9, 6), nn.Linear(6, VOCABULARY)

    def forward(self, tokens):
        x = self.tokens(tokens) + self.places.weight
        q, k, v = self.qkv(self.norm(x)).chunk(3, -1)
        x = x + self.out(F.scaled_dot_product_attention(q, k, v, is_causal=True))
        return self.head(x + self.down(F.gelu(self.up(x))))


def language_data(split: str, samples: int = 40) -> Dataset:
    generator = torch.Generator().manual_seed(len(split))
    tokens = torch.randint(0, VOCABULARY, (samples, LENGTH + 1), generator=generator)
    targets = tokens[:, 1:].clone()
    targets[:, 0] = -100
    targets[:5] = -100
    return Dataset.from_tensors(tokens[:, :-1], targets, name="drawn", split=split)


LANGUAGE = {split: language_data(split) for split in ("train", "test")}


@pytest.fixture(scope="module")
def language():
    pair = [checkpoint(Language(seed), f"{seed}") for seed in (0, 1)]
    program = capture(Language(0), torch.zeros(2, LENGTH).long())
    return pair, program, compare(*pair, program=program, data=LANGUAGE, options=OPTIONS)


def test_language_models_are_compared_by_token(language):
    pair, _, result = language
    models = (pair[0].tensors, pair[1].tensors, result.pi_b)
    for edge, (first, second) in {"naive": (0, 1), "rebasin": (0, 2), "orbit": (1, 2)}.items():
        for split, data in LANGUAGE.items():
            for index, lam in enumerate((0.0, 0.5, 1.0)):
                module = Language(0).double()
                module.load_state_dict(
                    {n: (1 - lam) * models[first][n] + lam * models[second][n] for n in models[0]}
                )
                with torch.no_grad():
                    logits = module(data.inputs).flatten(0, 1)
                expected = F.cross_entropy(logits, data.targets.flatten())
                got = result.arrays[f"curve_{edge}_{split}_loss"][index]
                assert got == pytest.approx(float(expected), rel=1e-5)
    summary = result.summary
    assert summary["task"]["kind"] == "language"
    assert "cross-entropy in nats per token" in summary["task"]["statement"]
    assert summary["task"]["answers"] == {"train": 105, "test": 105}
    for point in (*summary["ends"].values(), *summary["midpoints"].values()):
        assert point["test"]["perplexity"] == pytest.approx(math.exp(point["test"]["loss"]))
    assert {"up", "qkv"} & {group["name"].split("[")[0] for group in summary["symmetry"]["groups"]}
    assert summary["equivalence"]["max_abs_logit_difference"] < 1e-5
    ends = summary["ends"]
    assert ends["b"]["test"]["loss"] == pytest.approx(ends["pi_b"]["test"]["loss"], rel=1e-5)
    frankle = [1 - a for a in result.arrays["curve_naive_test_accuracy"]]
    assert summary["barriers"]["naive"]["test"]["frankle"] == pytest.approx(
        max(frankle) - (frankle[0] + frankle[-1]) / 2
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_evaluated_in_float32_and_kept_on_export(language, dtype):
    _, program, expected = language
    modules = [Language(seed).to(dtype) for seed in (0, 1)]
    pair = [checkpoint(module, f"{seed}") for seed, module in enumerate(modules)]
    traced = capture(modules[0], torch.zeros(2, LENGTH).long())
    for given in (program, traced):
        result = compare(*pair, program=given, data=LANGUAGE, options=OPTIONS)
        for name, values in expected.arrays.items():
            if name.endswith("_loss") and "naive" in name:
                np.testing.assert_allclose(result.arrays[name], values, rtol=0.02)
        assert {t.dtype for t in (*result.pi_b.values(), *result.midpoint.values())} == {dtype}
        assert result.summary["proof"]["max_abs_difference"] < 1e-9
        half = Language(0).to(dtype).float()
        with torch.no_grad():
            logits = half(LANGUAGE["test"].inputs).flatten(0, 1)
        exact = F.cross_entropy(logits, LANGUAGE["test"].targets.flatten())
        got = result.summary["ends"]["a"]["test"]["loss"]
        assert got == pytest.approx(float(exact), rel=1e-5)


def regressor(seed: int, outputs: int = 2) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, outputs))


def test_regressions_are_compared_by_squared_error():
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.randn(50, size, generator=generator) for size in (5, 2))
    data = {
        "train": Dataset.from_tensors(x, 3 * y, split="train"),
        "test": Dataset.from_tensors(x, y, split="test"),
    }
    result = compare(
        *(checkpoint(regressor(seed), f"{seed}") for seed in (0, 1)), data=data, options=OPTIONS
    )
    summary = result.summary
    error = (regressor(0)(x) - y).square().mean().detach()
    variance = (y - y.mean(0)).square().mean()
    end = summary["ends"]["a"]["test"]
    assert end["loss"] == pytest.approx(float(error), rel=1e-5)
    assert end["r2"] == pytest.approx(float(1 - error / variance), rel=1e-5)
    assert end["accuracy"] is None
    assert summary["barriers"]["naive"]["test"]["frankle"] is None
    assert summary["barriers"]["naive"]["test"]["git_rebasin"] is not None
    assert np.isnan(result.arrays["plane_test_accuracy"]).all()
    assert np.isfinite(result.arrays["plane_test_loss"]).all()
    assert summary["task"]["baseline"]["test"] == pytest.approx(float(variance))
    assert "mean squared error" in summary["task"]["statement"]
    assert summary["basins"]["count"] is not None


class TwoInputs(nn.Module):
    """Tokens and features together."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.table, self.features = nn.Embedding(5, 8), nn.Linear(3, 8)
        self.norm, self.head = nn.BatchNorm1d(8), nn.Linear(8, 4)

    def forward(self, tokens, x):
        return self.head(torch.relu(self.norm(self.table(tokens).sum(1) + self.features(x))))


def test_several_inputs_are_given_by_name(tmp_path):
    generator = np.random.default_rng(0)
    arrays = {
        "inputs.x": generator.standard_normal((60, 3)).astype(np.float32),
        "inputs.tokens": generator.integers(0, 5, (60, 2)),
        "targets": generator.integers(0, 4, 60),
    }
    np.savez(tmp_path / "own.npz", **arrays)
    pair = [checkpoint(TwoInputs(seed).eval(), f"{seed}") for seed in (0, 1)]
    program = capture(TwoInputs(0), (torch.zeros(2, 2).long(), torch.zeros(2, 3)))
    options = CompareOptions(data=str(tmp_path / "own.npz"), samples=None, line_points=3)
    result = compare(*pair, program=program, options=options)
    module = TwoInputs(0).eval()
    logits = module(torch.tensor(arrays["inputs.tokens"]), torch.tensor(arrays["inputs.x"]))
    expected = F.cross_entropy(logits, torch.tensor(arrays["targets"])).detach()
    got = result.summary["ends"]["a"]["test"]["loss"]
    assert got == pytest.approx(float(expected), rel=1e-5)
    assert result.summary["batch_norm"] == {"layers": 1, "reset": True, "reset_samples": 60}
    assert result.summary["equivalence"]["samples"] == 60
    assert [spec["name"] for spec in result.summary["model"]["inputs"]] == ["tokens", "x"]


def test_text_and_modular_addition_are_read_as_the_model_takes_them(tmp_path):
    (tmp_path / "poem.txt").write_bytes(b"\x00\x01\x02\x03\x04\x05\x06" * 20)
    pair = [checkpoint(Language(seed), f"{seed}") for seed in (0, 1)]
    program = capture(Language(0), torch.zeros(2, LENGTH).long())
    options = CompareOptions(data=str(tmp_path / "poem.txt"), line_points=3, plane_points=0)
    result = compare(*pair, program=program, options=options)
    assert result.summary["task"]["answers"]["test"] == 139 // LENGTH * LENGTH
    with pytest.raises(DataError, match="takes sequences of 4 tokens as tokens, but those of modu"):
        options = CompareOptions(data="modular-addition", samples=20)
        compare(*pair, program=program, options=options)
    with pytest.raises(DataError, match="takes token ids, but mnist has floating-point numbers or"):
        compare(*pair, program=program, options=CompareOptions(samples=20))


def test_a_data_set_of_ones_own_is_part_of_the_python_interface():
    data = engine.Dataset.from_tensors(torch.randn(4, 5), torch.randn(4, 2))
    assert (data.name, data.classes, len(data)) == ("own data", 0, 4)
