"""Every plan equals the plain one on networks with more than one plain input and plain weights:
several inputs of several kinds, tied weights, buffers, half precision, dropout in eval mode."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from engine.landscape import ResetData, Span, evaluate
from engine.landscape.plans.adapted import PLAINLY
from engine.program import capture
from tests.landscape.oracle import Data, combine, state
from tests.landscape.plans.test_adapted import NAMES, PLANS, columns, random_points

VOCABULARY, LENGTH, NUMBERS = 9, 4, 6


class Mixed(nn.Module):
    """Tokens, an image and a vector of numbers to scores of tokens.

    The table of tokens is also the last layer (tied), `order` is a buffer of whole numbers, `shift`
    one of real numbers that is no statistic, and dropout stands between the layers.
    """

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(VOCABULARY, 5)
        self.image = nn.Conv2d(2, 5, 3, bias=False)
        self.norm = nn.BatchNorm2d(5)
        self.numbers = nn.Linear(NUMBERS, 5)
        self.dropout, self.drop_channels = nn.Dropout(0.5), nn.Dropout2d(0.5)
        self.head = nn.Linear(5, VOCABULARY)
        self.head.weight = self.table.weight
        self.register_buffer("order", torch.tensor([3, 0, 2, 1]))
        self.register_buffer("shift", torch.zeros(5))

    def forward(self, tokens, image, numbers):
        words = self.table(tokens)[:, self.order].mean(1)
        seen = self.drop_channels(F.relu(self.norm(self.image(image)))).mean((2, 3))
        mixed = torch.tanh(words + seen + self.shift) * self.numbers(numbers)
        return self.head(self.dropout(mixed))


def module_of(seed: int, dtype: torch.dtype) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    module = Mixed().eval()
    with torch.no_grad():
        for tensor in (*module.parameters(), *module.buffers()):
            if tensor.is_floating_point():
                tensor.copy_(torch.rand(tensor.shape, generator=generator) - 0.3)
        module.norm.running_var.add_(3)
    return module.to(dtype)


def inputs(samples: int, seed: int = 4) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.randint(0, VOCABULARY, (samples, LENGTH), generator=generator),
        torch.randn(samples, 2, 6, 6, generator=generator),
        torch.randn(samples, NUMBERS, generator=generator),
    )


def program_of(module: nn.Module, dtype: torch.dtype):
    given = (x.to(dtype) if x.is_floating_point() else x for x in inputs(2))
    return capture(module, tuple(given))


def data(samples: int) -> Data:
    return Data(inputs(samples), torch.arange(samples) % VOCABULARY)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("plan", PLANS)
def test_every_plan_equals_the_plain_one(plan, dtype):
    modules = [module_of(seed, dtype) for seed in range(3)]
    program = program_of(modules[0], dtype)
    span, points, used = Span(NAMES, tuple(map(state, modules))), random_points(6), PLANS[plan]()
    for reset in (None, ResetData(inputs(8, seed=5))):
        given = {"batch_size": 4, "reset": reset}
        wanted = evaluate(program, span, points, data(11), **given)
        found = evaluate(program, span, points, data(11), plan=used, **given)
        assert PLAINLY not in used.sentence
        assert ("at once" in used.sentence) == ("at once" in plan)
        tolerance = 1e-10 if dtype == torch.float64 else 2e-5
        torch.testing.assert_close(columns(found), columns(wanted), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("plan", PLANS)
def test_every_plan_equals_a_float64_loop_over_the_module(plan):
    modules = [module_of(seed, torch.float32) for seed in range(3)]
    models, samples = [state(module) for module in modules], data(7)
    span, points = Span(NAMES, tuple(models)), random_points(8, points=4)
    program = program_of(modules[0], torch.float32)
    found = evaluate(program, span, points, samples, plan=PLANS[plan]())
    tokens, image, numbers = samples.inputs
    for g, row in enumerate(points):
        module = module_of(0, torch.float64)
        module.load_state_dict(combine(models, row))
        with torch.no_grad():
            scores = module(tokens, image.double(), numbers.double())
        loss = F.cross_entropy(scores, samples.targets, reduction="none")
        torch.testing.assert_close(found.loss_sum[g], loss.sum(), rtol=2e-5, atol=1e-5)
        right = (scores.argmax(1) == samples.targets).sum()
        assert float(found.correct[g]) == float(right)
