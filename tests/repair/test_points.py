"""REPAIR inside the evaluation of any span: against hooks, against single repaired models."""

from __future__ import annotations

import pytest
import torch

from engine.errors import CancelledError, RepairError
from engine.landscape import ResetData, Span, evaluate, evaluate_model, plain
from engine.landscape.plans import exact, fast
from engine.repair import PointRepair, points, repair
from tests.landscape.oracle import program_of, setting
from tests.models import MODELS
from tests.repair.oracle import channels, repaired_by_hand

NAMES = ("A", "B", "C")
POINTS = torch.tensor(
    [[0, 0, 1], [0.5, 0.5, 0], [0.2, 0.3, 0.5], [-0.1, 0.8, 0.3]], dtype=torch.float64
)


def samples(model, number=40):
    return ResetData(model.inputs(number, seed=3))


@pytest.mark.parametrize("plan", [plain, exact], ids=["plain", "exact"])
@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name)
def test_points_are_those_repaired_one_by_one(model, plan):
    program, models, data = setting(model, 17)
    used = plain if plan is plain else exact()
    given = samples(model)
    found = evaluate(
        program, Span(NAMES, tuple(models)), POINTS, data, plan=used, repair=PointRepair(given)
    )
    for g, row in enumerate(POINTS):
        one = repair(program, models, row.tolist(), (given.inputs,), repairs=["repair"])
        wanted = evaluate_model(program, one.params, data)
        torch.testing.assert_close(found.loss[g], wanted.loss[0], rtol=2e-4, atol=1e-6)
    unrepaired = evaluate(program, Span(NAMES, tuple(models)), POINTS, data, plan=used)
    assert found.loss[0] == unrepaired.loss[0]
    assert (found.loss[1:] != unrepaired.loss[1:]).all()


@pytest.mark.parametrize("model", [MODELS[0], MODELS[3], MODELS[4]], ids=lambda m: m.name)
def test_channels_are_the_affine_combination_of_the_models(model):
    program, models, _ = setting(model, 1)
    both, scale = repaired_by_hand(model)
    given = samples(model)
    span, row = Span(NAMES, tuple(models)), POINTS[2]
    change = PointRepair(given).bound(program, span, "cpu", lambda: None)
    with torch.inference_mode():
        params = span.at(row)
        params |= change(row.tolist(), params)
    module = model.module()
    own = [channels(module, m, given.inputs) for m in models]
    found = channels(module, {n: params[n] for n in models[0] if n in params}, given.inputs)
    for name in both | scale:
        wanted = sum(float(c) * seen[name] for c, seen in zip(row, own, strict=True))
        alive = (own[0][name][1] > 1e-3) & (wanted[1] > 0) & (found[name][1] > 1e-6)
        rows = slice(None) if name in both else slice(1, None)
        torch.testing.assert_close(
            found[name][rows][:, alive], wanted[rows][:, alive], rtol=1e-3, atol=1e-3
        )


def test_a_channel_without_a_positive_target_is_left_alone():
    model = MODELS[0]
    program, models, _ = setting(model, 1)
    # B varies twice as much as A everywhere, so that at 3·A − 2·B nothing is left to vary.
    models[1] = {n: 2 * t if n == "1.weight" else t for n, t in models[0].items()}
    span, row = Span(NAMES, tuple(models)), [3.0, -2.0, 0.0]
    change = PointRepair(samples(model)).bound(program, span, "cpu", lambda: None)
    params = span.at(torch.tensor(row))
    assert torch.equal(change(row, params)["1.weight"], params["1.weight"])


def test_models_are_measured_once_for_all_evaluations(monkeypatch):
    measured = []
    whole = points._Bound._measured
    monkeypatch.setattr(
        points._Bound, "_measured", lambda bound: measured.append(1) or whole(bound)
    )
    program, models, data = setting(MODELS[0], 5)
    span, again = Span(NAMES, tuple(models)), PointRepair(samples(MODELS[0]))
    first = evaluate(program, span, POINTS, data, plan=exact(), repair=again)
    second = evaluate(program, span, POINTS, data, plan=exact(), repair=again)
    assert torch.equal(first.loss, second.loss)
    assert len(measured) == 1
    evaluate(program, Span(NAMES, tuple(models[::-1])), POINTS, data, repair=again)
    assert len(measured) == 2
    evaluate(program, Span(NAMES, tuple(models)), POINTS[:1], data, repair=again)
    assert len(measured) == 2


def test_fast_says_that_nothing_was_computed_once_per_model():
    program, models, data = setting(MODELS[0], 5)
    plan = fast()
    again = PointRepair(samples(MODELS[0]))
    evaluate(program, Span(NAMES, tuple(models)), POINTS, data, plan=plan, repair=again)
    assert plan.sentence == "nothing shared, memory reused; bfloat16 throughout"


def test_it_stops_within_the_training_samples():
    program, models, data = setting(MODELS[0], 5)
    asked = []
    again = PointRepair(ResetData(MODELS[0].inputs(40), batch_size=4))

    def should_stop():
        asked.append(1)
        return len(asked) > 8

    with pytest.raises(CancelledError, match="cancelled"):
        evaluate(
            program,
            Span(NAMES, tuple(models)),
            POINTS[1:],
            data,
            repair=again,
            should_stop=should_stop,
        )
    assert len(asked) == 9


def test_too_few_samples_are_named():
    program, models, data = setting(MODELS[0], 5)
    again = PointRepair(ResetData(MODELS[0].inputs(1)))
    with pytest.raises(RepairError, match="at least 2 training inputs; 1 was given"):
        evaluate(program, Span(NAMES, tuple(models)), POINTS, data, repair=again)


def test_half_precision_is_measured_as_points_are_formed():
    _, models, data = setting(MODELS[3], 9)
    halves = [{n: t.half() if t.is_floating_point() else t for n, t in m.items()} for m in models]
    wide = [{n: t.float() if t.is_floating_point() else t for n, t in m.items()} for m in halves]
    found, wanted = (
        evaluate(
            program_of(MODELS[3]),
            Span(NAMES, tuple(some)),
            POINTS,
            data,
            repair=PointRepair(samples(MODELS[3])),
        )
        for some in (halves, wide)
    )
    assert torch.equal(found.loss, wanted.loss)
