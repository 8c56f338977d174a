"""Losses of the evaluator by task: language models, regressions, confident classifiers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from engine.landscape import Span, evaluate, evaluate_model
from engine.program import capture
from tests.landscape.oracle import Data, combine, state

NAMES = ("A", "B", "C")
POINTS = torch.tensor([[1, 0, 0], [0.2, 0.3, 0.5], [-0.5, 0.9, 0.6]], dtype=torch.float64)


class TinyLanguage(nn.Module):
    """Tokens to scores of the next token: an embedding, a mixing of positions, a layer."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.table = nn.Embedding(7, 5)
        self.mix = nn.Linear(4, 4)
        self.up = nn.Linear(5, 6)
        self.head = nn.Linear(6, 7)

    def forward(self, tokens):
        x = self.mix(self.table(tokens).transpose(1, 2)).transpose(1, 2)
        return self.head(torch.relu(self.up(x)))


def language(samples: int) -> Data:
    generator = torch.Generator().manual_seed(3)
    tokens = torch.randint(0, 7, (samples, 4), generator=generator)
    targets = torch.randint(0, 7, (samples, 4), generator=generator)
    targets[torch.rand(samples, 4, generator=generator) < 0.4] = -100
    return Data(tokens, targets)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_language_models_equal_a_dense_float64_loop_over_sequences(dtype):
    modules = [TinyLanguage(seed).to(dtype) for seed in range(3)]
    program = capture(modules[0], torch.zeros(2, 4, dtype=torch.int64))
    models, data = [state(module) for module in modules], language(11)
    tally = evaluate(program, Span(NAMES, tuple(models)), POINTS, data, batch_size=4)
    for g, row in enumerate(POINTS):
        module = TinyLanguage().double()
        module.load_state_dict(combine(models, row))
        sums, rights, numbers = [], [], []
        for tokens, targets in zip(data.inputs, data.targets, strict=True):
            logits, kept = module(tokens[None])[0].detach(), targets != -100
            each = [-logits[t].log_softmax(0)[targets[t]] for t in kept.nonzero()[:, 0]]
            sums.append(float(sum(each)))
            rights.append(int((logits[kept].argmax(1) == targets[kept]).sum()))
            numbers.append(int(kept.sum()))
        s, c, n = (np.array(column, dtype=float) for column in (sums, rights, numbers))
        assert (tally.count, tally.tokens.number) == (11, n.sum())
        assert float(tally.loss[g]) == pytest.approx(s.sum() / n.sum(), rel=1e-5)
        assert float(tally.accuracy[g]) == pytest.approx(c.sum() / n.sum())
        for got, x in ((tally.loss_se[g], s), (tally.accuracy_se[g], c)):
            residuals = x - x.sum() / n.sum() * n
            expected = math.sqrt(11 / 10 * (residuals**2).sum()) / n.sum()
            assert float(got) == pytest.approx(expected, rel=1e-5)


def test_shards_of_sequences_of_different_lengths_add_up():
    module, data = TinyLanguage(), language(12)
    program = capture(module, torch.zeros(2, 4, dtype=torch.int64))
    whole = evaluate_model(program, state(module), data)
    shards = [Data(data.inputs[part], data.targets[part]) for part in (slice(5), slice(5, 12))]
    one, two = (evaluate_model(program, state(module), shard) for shard in shards)
    assert (one + two).tokens.square == whole.tokens.square
    for name in ("loss", "loss_se", "accuracy", "accuracy_se"):
        torch.testing.assert_close(
            getattr(one + two, name), getattr(whole, name), rtol=1e-9, atol=0
        )


@pytest.mark.parametrize("outputs", [1, 3])
def test_regressions_equal_a_dense_float64_loop(outputs):
    modules = [nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, outputs)) for _ in range(3)]
    program = capture(modules[0], torch.zeros(2, 5))
    models = [state(module) for module in modules]
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.randn(13, size, generator=generator) for size in (5, outputs))
    tally = evaluate(program, Span(NAMES, tuple(models)), POINTS, Data(x, y), batch_size=5)
    for g, row in enumerate(POINTS):
        module = modules[0].double()
        module.load_state_dict(combine(models, row))
        each = ((module(x.double()) - y.double()) ** 2).mean(1).detach()
        assert float(tally.loss[g]) == pytest.approx(float(each.mean()), rel=1e-5)
        assert float(tally.loss_se[g]) == pytest.approx(float(each.std()) / 13**0.5, rel=1e-5)
    assert tally.accuracy.isnan().all()
    assert tally.accuracy_se.isnan().all()


def test_a_loss_near_zero_keeps_its_digits():
    module = nn.Linear(1, 2, bias=False)
    params = {"weight": torch.tensor([[20.0], [0.0]])}
    program = capture(module, torch.zeros(2, 1))
    tally = evaluate_model(program, params, Data(torch.ones(3, 1), torch.zeros(3).long()))
    assert float(tally.loss[0]) == pytest.approx(math.log1p(math.exp(-20)), rel=1e-6)
