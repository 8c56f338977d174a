"""The ensemble and the calibration error against loops over samples."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from engine.errors import CancelledError, LandscapeError, ProgramError, RepairError
from engine.landscape import evaluate_model
from engine.program import capture
from engine.repair import calibration_error, ensemble
from tests.landscape.oracle import Data, setting, state
from tests.models import MODELS

BY_NAME = {model.name: model for model in MODELS}


def by_hand(probabilities: torch.Tensor, targets: torch.Tensor, bins: int) -> float:
    total = 0.0
    for index in range(bins):
        rows = [
            (float(p.max()), int(p.argmax()) == int(t))
            for p, t in zip(probabilities, targets, strict=True)
            if index / bins < float(p.max()) <= (index + 1) / bins
        ]
        if rows:
            confidence = sum(c for c, _ in rows) / len(rows)
            accuracy = sum(hit for _, hit in rows) / len(rows)
            total += len(rows) / len(targets) * abs(accuracy - confidence)
    return total


@pytest.mark.parametrize("bins", [1, 10, 15])
def test_the_calibration_error_is_that_of_a_loop_over_bins(bins):
    generator = torch.Generator().manual_seed(0)
    probabilities = (3 * torch.randn(300, 4, generator=generator, dtype=torch.float64)).softmax(1)
    # Drawn from the probabilities, so that bins err to both sides.
    targets = torch.multinomial(probabilities, 1, generator=generator)[:, 0]
    found = calibration_error(probabilities, targets, bins)
    assert found == pytest.approx(by_hand(probabilities, targets, bins))


def test_sure_and_right_is_calibrated_sure_and_wrong_is_not():
    sure = torch.eye(3, dtype=torch.float64)
    assert calibration_error(sure, torch.arange(3)) == 0
    assert calibration_error(sure, torch.tensor([1, 2, 0])) == 1
    assert math.isnan(calibration_error(sure * math.nan, torch.arange(3)))


def test_a_calibration_error_needs_probabilities_and_targets():
    with pytest.raises(RepairError, match=r"the shapes are \[3, 2\] and \[2\]"):
        calibration_error(torch.zeros(3, 2), torch.zeros(2, dtype=torch.long))
    with pytest.raises(RepairError, match=r"the shapes are \[0, 2\] and \[0\]"):
        calibration_error(torch.zeros(0, 2), torch.zeros(0, dtype=torch.long))


@pytest.mark.parametrize("name", ["mlp", "resnet-b"])
def test_an_ensemble_averages_probabilities(name):
    program, models, data = setting(BY_NAME[name], 30)
    assert isinstance(data.inputs, torch.Tensor)
    found = ensemble(program, models, data, batch_size=7)
    mean = sum(program(m, data.inputs).double().softmax(1) for m in models) / len(models)
    own = mean[torch.arange(30), data.targets]
    assert found.models == 3
    assert found.loss == pytest.approx(float(-own.log().mean()))
    assert found.accuracy == pytest.approx(float((mean.argmax(1) == data.targets).double().mean()))
    assert found.calibration_error == pytest.approx(by_hand(mean, data.targets, 15))


def test_an_ensemble_of_one_is_the_model():
    program, models, data = setting(BY_NAME["vgg"], 20)
    found, alone = ensemble(program, models[:1], data), evaluate_model(program, models[0], data)
    assert found.loss == pytest.approx(float(alone.loss))
    assert found.accuracy == pytest.approx(float(alone.accuracy))
    tempered = ensemble(program, models[:1], data, temperatures=[4.0])
    assert tempered.loss != found.loss and tempered.accuracy == found.accuracy


def test_half_precision_is_computed_in_float32():
    program, models, data = setting(BY_NAME["mlp"], 20)
    half = [{n: t.half() for n, t in m.items()} for m in models]
    assert ensemble(program, half, data).loss == pytest.approx(
        ensemble(program, models, data).loss, rel=1e-2
    )


def test_tokens_and_values_have_ensembles_too():
    torch.manual_seed(0)
    modules = [nn.Sequential(nn.Embedding(7, 4), nn.Linear(4, 7)).eval() for _ in range(2)]
    program = capture(modules[0], torch.zeros(2, 5, dtype=torch.long))
    x, targets = torch.randint(0, 7, (9, 5)), torch.randint(0, 7, (9, 5))
    targets[0, 1:] = -100
    found = ensemble(program, [state(m) for m in modules], Data(x, targets))
    mean = sum(m(x).detach().double().softmax(2) for m in modules) / 2
    kept = targets != -100
    own = mean[kept].gather(1, targets[kept][:, None])
    assert found.loss == pytest.approx(float(-own.log().mean()))
    modules = [nn.Linear(3, 2).eval() for _ in range(2)]
    program = capture(modules[0], torch.zeros(2, 3))
    x, values = torch.randn(8, 3), torch.randn(8, 2)
    found = ensemble(program, [state(m) for m in modules], Data(x, values))
    middle = sum(m(x).detach().double() for m in modules) / 2
    assert found.loss == pytest.approx(float((middle - values).square().mean()))
    assert math.isnan(found.accuracy) and math.isnan(found.calibration_error)


def test_nan_stays_nan():
    program, models, data = setting(BY_NAME["mlp"], 20)
    models[1]["5.bias"][0] = math.nan
    found = ensemble(program, models, data)
    assert all(map(math.isnan, (found.loss, found.accuracy, found.calibration_error)))


def test_what_is_no_ensemble_is_refused():
    program, models, data = setting(BY_NAME["mlp"], 20)
    with pytest.raises(RepairError, match="there are 0 models and 20 samples"):
        ensemble(program, [], data)
    with pytest.raises(RepairError, match="there are 3 models and 0 samples"):
        ensemble(program, models, Data(data.inputs[:0], data.targets[:0]))
    with pytest.raises(RepairError, match="one temperature per model; 3 models have 1"):
        ensemble(program, models, data, temperatures=[1.0])
    with pytest.raises(ProgramError, match=r"parameters are missing: 5\.bias"):
        ensemble(program, [{n: t for n, t in models[0].items() if n != "5.bias"}], data)
    with pytest.raises(LandscapeError, match="classes run from 0 to 8"):
        ensemble(program, models, Data(data.inputs, torch.tensor([8] + [0] * 19)))

    def check() -> None:
        raise CancelledError("stop")

    with pytest.raises(CancelledError, match="stop"):
        ensemble(program, models, data, check=check)
