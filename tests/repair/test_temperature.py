"""The temperature against a dense search, and what happens where there is no minimum."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from engine.errors import LandscapeError, RepairError
from engine.landscape import evaluate_model
from engine.program import capture
from engine.repair import Workshop, repair
from engine.repair.line import evaluate_point
from engine.repair.temperature import HIGHEST, LOWEST, fit_temperature
from tests.landscape.oracle import Data, Tied, setting, state
from tests.models import MODELS

BY_NAME = {model.name: model for model in MODELS}


def sample(scale: float, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(400, 5, generator=generator)
    targets = torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]
    return logits * scale, targets


def loss(logits: torch.Tensor, targets: torch.Tensor, temperature: float) -> float:
    return float(F.cross_entropy(logits.double() / temperature, targets))


@pytest.mark.parametrize("scale", [0.05, 0.3, 1.0, 4.0, 30.0])
def test_no_other_temperature_is_better(scale):
    logits, targets = sample(scale)
    found = fit_temperature(logits, targets)
    grid = torch.logspace(-1.99, 1.99, 4001, dtype=torch.float64).tolist()
    best = min(grid, key=lambda t: loss(logits, targets, t))
    assert found == pytest.approx(best, rel=3e-3)
    assert loss(logits, targets, found) <= loss(logits, targets, best)


def test_logits_of_another_size_have_a_temperature_of_that_size():
    logits, targets = sample(1.0)
    assert fit_temperature(7 * logits, targets) == pytest.approx(
        7 * fit_temperature(logits, targets), rel=1e-6
    )
    shifted = logits + 1000 * torch.rand(400, 1)
    assert fit_temperature(shifted, targets) == pytest.approx(
        fit_temperature(logits, targets), rel=1e-3
    )


def test_bounds_are_kept_where_there_is_no_minimum():
    logits, _ = sample(1.0)
    assert fit_temperature(logits, logits.argmax(1)) == pytest.approx(LOWEST, rel=1e-3)
    assert fit_temperature(logits, logits.argmin(1)) == pytest.approx(HIGHEST, rel=1e-3)
    assert fit_temperature(torch.zeros(4, 3), torch.zeros(4, dtype=torch.long)) == 1


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_logits_that_are_not_finite_have_none(bad):
    logits, targets = sample(1.0)
    logits[3, 2] = bad
    assert math.isnan(fit_temperature(logits, targets))


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name)
def test_the_temperature_is_folded_into_the_last_layer(model):
    program, ends, data = setting(model, 24, 2)
    plain, got = (
        repair(program, ends, (0.5, 0.5), (data.inputs,), repairs=keys, targets=data.targets)
        for keys in ((), ("temperature",))
    )
    assert got.folded and got.temperature != 1 and plain.temperature == 1
    expected = program(plain.params, data.inputs) / got.temperature
    torch.testing.assert_close(program(got.params, data.inputs), expected)
    assert loss(expected, data.targets, 1) <= loss(
        program(plain.params, data.inputs), data.targets, 1
    )


def test_a_shared_last_layer_keeps_its_temperature_beside():
    program = capture(Tied().eval(), torch.zeros(2, 6))
    torch.manual_seed(0)
    ends = [program.named(state(Tied())) for _ in range(2)]
    x, targets = torch.randn(30, 6), torch.randint(0, 6, (30,))
    shop = Workshop(program, ends, (x,), repairs=["temperature"], targets=targets)
    point = shop.at((0.5, 0.5))
    assert not point.folded and point.divisor == point.temperature != 1
    data = Data(x, targets)
    found = evaluate_point(program, point, data)
    expected = loss(program(point.params, x), targets, point.temperature)
    assert float(found.loss) == pytest.approx(expected)
    assert float(found.loss) < float(evaluate_model(program, point.params, data).loss)
    got = repair(program, ends, (0.5, 0.5), (x,), repairs=["temperature"], targets=targets)
    assert not got.folded and got.temperature == point.temperature


def test_tokens_that_do_not_count_take_no_part():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Embedding(7, 4), nn.ReLU(), nn.Linear(4, 7)).eval()
    program = capture(module, torch.zeros(2, 5, dtype=torch.long))
    x = torch.randint(0, 7, (40, 5))
    targets = torch.randint(0, 7, (40, 5))
    targets[:, 3:] = -100
    ends = [state(module), state(module)]
    got = repair(program, ends, (0.5, 0.5), (x,), repairs=["temperature"], targets=targets)
    logits = module(x)[:, :3].reshape(-1, 7)
    expected = fit_temperature(logits.detach(), targets[:, :3].reshape(-1))
    assert got.temperature == pytest.approx(expected, rel=1e-5)


def test_what_has_no_temperature_is_refused():
    program, ends, data = setting(BY_NAME["mlp"], 12, 2)
    given = {"repairs": ["temperature"]}
    with pytest.raises(RepairError, match="The softmax temperature needs training samples with"):
        repair(program, ends, (0.5, 0.5), (data.inputs,), **given)
    values = torch.rand(12, 4)
    with pytest.raises(RepairError, match="is for classes or tokens; these targets are values"):
        repair(program, ends, (0.5, 0.5), (data.inputs,), targets=values, **given)
    with pytest.raises(LandscapeError, match="classes run from 0 to 9"):
        wrong = torch.tensor([9] + [0] * 11)
        repair(program, ends, (0.5, 0.5), (data.inputs,), targets=wrong, **given)
    none = torch.zeros(0, dtype=torch.long)
    with pytest.raises(RepairError, match="at least one training sample with a label"):
        repair(program, ends, (0.5, 0.5), (data.inputs[:0],), targets=none, **given)


def test_a_merged_model_that_diverges_has_no_temperature_but_stays_nan_on_a_line():
    model = BY_NAME["mlp"]
    program, ends, data = setting(model, 12, 2)
    ends[0]["5.bias"][0] = torch.nan
    with pytest.raises(RepairError, match="logits on the training samples that are NaN or infin"):
        repair(
            program, ends, (0.5, 0.5), (data.inputs,), repairs=["temperature"], targets=data.targets
        )
    shop = Workshop(program, ends, (data.inputs,), repairs=["temperature"], targets=data.targets)
    assert evaluate_point(program, shop.at((0.5, 0.5)), data).loss.isnan()
