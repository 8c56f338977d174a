from __future__ import annotations

import pytest
import torch

from engine.errors import CancelledError, LandscapeError
from engine.landscape import ResetData, Span, evaluate
from engine.landscape.plans import exact, fast, loss_error, plan_for, warning
from tests.landscape.oracle import setting
from tests.models import MODELS

POINTS = torch.tensor([[1, 0, 0], [0.2, 0.3, 0.5], [-0.5, 0.9, 0.6]], dtype=torch.float64)


@pytest.mark.parametrize("index", [0, 3])
def test_fast_is_off_by_the_rounding_of_bfloat16_and_exact_is_not(index):
    program, models, data = setting(MODELS[index], 40)
    span, plan = Span(("A", "B", "C"), tuple(models)), fast()
    error = loss_error(program, span, POINTS, data, plan=plan)
    assert 1e-6 < error < 2e-2
    assert plan.sentence.endswith("bfloat16 after the first layers")
    assert loss_error(program, span, POINTS, data, plan=exact()) == 0
    assert "bfloat16" not in plan_for("exact").sentence


def test_losses_that_are_no_numbers_do_not_count_in_the_error():
    program, models, data = setting(MODELS[0], 6)
    models[1] = {n: torch.full_like(t, torch.nan) for n, t in models[1].items()}
    span = Span(("A", "B", "C"), tuple(models))
    assert evaluate(program, span, POINTS, data, plan=fast()).loss.isnan().tolist() == [0, 1, 1]
    assert loss_error(program, span, POINTS, data, plan=fast()) < 2e-2


def test_a_loss_that_a_precision_loses_is_no_small_error():
    program, models, data = setting(MODELS[0], 6)
    span = Span(("A", "B", "C"), tuple(models))

    def broken(task):
        runner = exact()(task)

        class Runner:
            points = runner.points

            def logits(self, coefficients):
                for samples, outputs in runner.logits(coefficients):
                    yield samples, outputs / 0.0

        return Runner()

    assert loss_error(program, span, POINTS, data, plan=broken) == float("inf")


def test_an_unknown_precision_is_refused():
    with pytest.raises(LandscapeError, match="no precision 'half'; choose one of exact, tf32"):
        plan_for("half")


def test_a_machine_without_bfloat16_is_named(monkeypatch):
    name = "engine.landscape.plans.precision.has_bfloat16"
    monkeypatch.setattr(name, lambda device: False)
    assert "has no bfloat16 instructions" in str(warning("fast", "cpu"))
    assert warning("exact", "cpu") is None
    monkeypatch.setattr(name, lambda device: True)
    assert warning("fast", "cpu") is None
    assert warning("tf32", "cuda") is None
    assert "here tf32 computes as exact does" in str(warning("tf32", "cpu"))


def test_the_loss_error_is_that_of_points_whose_statistics_are_reset():
    program, models, data = setting(MODELS[3], 40)
    span, again = Span(("A", "B", "C"), tuple(models)), ResetData(MODELS[3].inputs(12, seed=3))
    with_reset = loss_error(program, span, POINTS, data, plan=fast(), reset=again)
    losses = [
        evaluate(program, span, POINTS, data, reset=again, plan=plan).loss
        for plan in (exact(), fast())
    ]
    assert with_reset == float(((losses[1] - losses[0]) / losses[0]).abs().max())
    assert with_reset != loss_error(program, span, POINTS, data, plan=fast())


def test_a_loss_error_can_be_stopped():
    program, models, data = setting(MODELS[0], 6)
    span = Span(("A", "B", "C"), tuple(models))
    with pytest.raises(CancelledError, match="cancelled"):
        loss_error(program, span, POINTS, data, plan=fast(), should_stop=lambda: True)
