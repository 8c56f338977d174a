from __future__ import annotations

import pytest
import torch

from engine.errors import LandscapeError
from engine.landscape import Span, evaluate
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


def test_an_unknown_precision_is_refused():
    with pytest.raises(LandscapeError, match="no precision 'half'; choose one of exact, fast"):
        plan_for("half")


def test_a_machine_without_bfloat16_is_named(monkeypatch):
    name = "engine.landscape.plans.precision.has_bfloat16"
    monkeypatch.setattr(name, lambda device: False)
    assert "has no bfloat16 instructions" in str(warning("fast", "cpu"))
    assert warning("exact", "cpu") is None
    monkeypatch.setattr(name, lambda device: True)
    assert warning("fast", "cpu") is None
