"""The adapted plan equals the plain one: every model of the table, the zoo, random spans."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from engine.errors import CancelledError
from engine.landscape import ResetData, Span, evaluate, evaluate_model
from engine.landscape.plan import Task, plain
from engine.landscape.plans import Adapted
from engine.landscape.plans.adapted import PLAINLY
from engine.landscape.plans.hoisted import Hoisted
from engine.program import capture
from tests.landscape.oracle import Data, Tied, combine, losses, setting, state
from tests.models import MODELS
from tests.zoo.table import ZOO
from tests.zoo.test_zoo import ROWS

NAMES = ("A", "B", "C")
PLANS = {
    "by rule": Adapted,
    "cut, kept": lambda: Adapted(hoist=True),
    "cut, groups of points": lambda: Adapted(1 << 15, hoist=True),
    "cut, too large": lambda: Adapted(1, hoist=True),
    "several at once": lambda: Adapted(several=True),
    "cut, several at once": lambda: Adapted(hoist=True, several=True),
    "cut, not kept, several at once": lambda: NotKept(hoist=True, several=True),
}


class NotKept(Adapted):
    """Computes first layers again for every batch."""

    def _hoisted(self, parts, task):
        return Hoisted(parts, task.span, task.inputs, kept=False), 1


def columns(tally):
    return torch.stack((tally.loss_sum, tally.loss_square_sum, tally.correct))


def random_points(seed: int, points: int = 7) -> torch.Tensor:
    """Return affine weights in and around the triangle; the first point is a model itself."""
    generator = torch.Generator().manual_seed(seed)
    free = torch.rand(points, 2, generator=generator, dtype=torch.float64) * 1.6 - 0.3
    rows = torch.cat((1 - free.sum(1, keepdim=True), free), dim=1)
    rows[0] = torch.tensor([0.0, 1.0, 0.0])
    return rows


@pytest.mark.parametrize("reset", [False, True], ids=["", "reset"])
@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name)
def test_it_equals_the_plain_plan_on_random_spans(model, plan, reset):
    if reset and "batchnorm" not in model.name and model.name not in ("resnet-a", "resnet-b"):
        return
    program, models, data = setting(model, 23)
    span, points = Span(NAMES, tuple(models)), random_points(MODELS.index(model))
    again = ResetData(model.inputs(12, seed=3)) if reset else None
    wanted = evaluate(program, span, points, data, reset=again, batch_size=9)
    used = PLANS[plan]()
    found = evaluate(program, span, points, data, reset=again, batch_size=9, plan=used)
    assert used.sentence != PLAINLY
    assert ("at once" in used.sentence) == ("at once" in plan)
    torch.testing.assert_close(columns(found), columns(wanted), rtol=2e-5, atol=1e-5)


@pytest.mark.parametrize("model", [MODELS[0], MODELS[6]], ids=lambda m: m.name)
def test_it_equals_a_dense_float64_loop_over_the_module(model):
    program, models, data = setting(model, 11)
    points = random_points(3)
    tally = evaluate(program, Span(NAMES, tuple(models)), points, data, plan=Adapted(hoist=True))
    for g, row in enumerate(points):
        loss, hits = losses(model.module(), combine(models, row), data)
        torch.testing.assert_close(tally.loss_sum[g], loss.sum(), rtol=2e-5, atol=1e-5)
        assert float(tally.correct[g]) == float(hits.sum())


@pytest.mark.filterwarnings("ignore")  # of tracing torch's recurrent layers, of `transformers`
@pytest.mark.parametrize("name", ROWS)
def test_outputs_of_the_zoo_equal_the_plain_plans(name):
    architecture = ZOO[name]
    modules = [architecture.module(seed) for seed in range(3)]
    program = capture(modules[0], architecture.inputs())
    models = tuple(program.named(state(module)) for module in modules)
    span = Span(NAMES, models).to("cpu", program.parameters)
    inputs = tuple(torch.cat([t, t.flip(0), t[:1]]) for t in architecture.inputs())
    points = random_points(1, points=3)
    with torch.inference_mode():
        task = Task(program, span, inputs, None, 3, lambda: None)
        wanted = [outputs(plain(task), points[g : g + 1])[0] for g in range(3)]
        for plan in (Adapted(), Adapted(hoist=True), Adapted(several=True)):
            runner = plan(task)
            assert PLAINLY not in plan.sentence
            groups = points.split(min(runner.points, 3))
            found = torch.cat([outputs(runner, group) for group in groups])
            for one, other in zip(found, wanted, strict=True):
                assert float((one - other).abs().max() / other.abs().max()) < 2e-5


def outputs(runner, points):
    return torch.cat([part.clone() for _, part in runner.logits(points)], dim=1)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_checkpoints_of_other_precision(dtype):
    program, models, data = setting(MODELS[3], 9)
    models = [
        {n: t.to(dtype) if t.is_floating_point() else t for n, t in m.items()} for m in models
    ]
    span, points = Span(NAMES, tuple(models)), random_points(2)
    wanted = evaluate(program, span, points, data)
    tolerance = 1e-12 if dtype == torch.float64 else 2e-5
    for hoist in (None, True):
        found = evaluate(program, span, points, data, plan=Adapted(hoist=hoist))
        torch.testing.assert_close(columns(found), columns(wanted), rtol=tolerance, atol=tolerance)


def test_tied_weights():
    modules = [Tied() for _ in range(2)]
    program = capture(modules[0], torch.randn(2, 6))
    data = Data(torch.randn(7, 6), torch.arange(7) % 6)
    span = Span(("A", "B"), tuple(state(module) for module in modules))
    points = torch.tensor([[0.4, 0.6], [1.5, -0.5]], dtype=torch.float64)
    wanted = evaluate(program, span, points, data)
    found = evaluate(program, span, points, data, plan=Adapted(hoist=True))
    torch.testing.assert_close(columns(found), columns(wanted), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("plan", PLANS)
def test_a_model_without_weight_takes_no_part(plan):
    program, models, data = setting(MODELS[0], 6)
    models[1] = {n: torch.full_like(t, torch.nan) for n, t in models[1].items()}
    points = torch.tensor([[0.5, 0, 0.5], [0, 1, 0], [0.2, 0.2, 0.6]], dtype=torch.float64)
    tally = evaluate(program, Span(NAMES, tuple(models)), points, data, plan=PLANS[plan]())
    assert tally.loss[0].isfinite()
    assert tally.loss[1:].isnan().all()
    assert tally.accuracy[1:].isnan().all()


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("model", [MODELS[0], MODELS[5]], ids=lambda m: m.name)
def test_bits_do_not_depend_on_what_else_is_asked(model, plan):
    program, models, data = setting(model, 13)
    span, points = Span(NAMES, tuple(models)), random_points(5)
    used = PLANS[plan]()
    together = columns(evaluate(program, span, points, data, batch_size=5, plan=used))
    for g in (6, 0, 3):
        row = points[g : g + 1]
        same = columns(evaluate(program, span, row, data, batch_size=5, plan=used))
        fresh = columns(evaluate(program, span, row, data, batch_size=5, plan=PLANS[plan]()))
        assert torch.equal(same[:, 0], together[:, g])
        assert torch.equal(fresh[:, 0], together[:, g])


def test_a_corner_equals_its_model_bit_for_bit():
    program, models, data = setting(MODELS[6], 13)
    corner = torch.tensor([[0.0, 1.0, 0.0]], dtype=torch.float64)
    plan = Adapted()
    found = evaluate(program, Span(NAMES, tuple(models)), corner, data, plan=plan)
    own = evaluate_model(program, models[1], data, plan=plan)
    assert torch.equal(columns(found), columns(own))


def test_nothing_given_is_written_to():
    program, models, data = setting(MODELS[3], 6)
    before, inputs = [{n: t.clone() for n, t in m.items()} for m in models], data.inputs.clone()
    reset = ResetData(MODELS[3].inputs(8))
    for again in (None, reset):
        evaluate(
            program, Span(NAMES, tuple(models)), random_points(0), data,
            reset=again, plan=Adapted(hoist=True),
        )  # fmt: skip
    assert all(torch.equal(o[n], m[n]) for o, m in zip(before, models, strict=True) for n in o)
    assert torch.equal(inputs, data.inputs)


def test_values_are_computed_once_per_model_and_again_when_a_model_changed(monkeypatch):
    program, models, data = setting(MODELS[0], 10)
    span, plan = Span(NAMES, tuple(models)), Adapted(hoist=True)
    computed = []
    original = Hoisted._at_model

    def counted(self, model, samples):
        if (model, samples.start) not in self._values:
            computed.append(model)
        return original(self, model, samples)

    monkeypatch.setattr(Hoisted, "_at_model", counted)
    points = random_points(4)[1:]
    evaluate(program, span, points, data, plan=plan)
    computed.clear()
    first = evaluate(program, span, points, data, plan=plan)
    assert computed == []
    models[2]["1.weight"].mul_(1.5)
    second = evaluate(program, span, points, data, plan=plan)
    assert sorted(computed) == [0, 1, 2]
    assert not torch.allclose(first.loss, second.loss)
    wanted = evaluate(program, span, points, data)
    torch.testing.assert_close(second.loss, wanted.loss, rtol=2e-5, atol=1e-6)


def test_parts_that_do_not_agree_are_not_used(monkeypatch):
    program, models, data = setting(MODELS[3], 6)
    monkeypatch.setattr("engine.landscape.plans.fold.Fold.apply", lambda self, point: None)
    span, points, plan = Span(NAMES, tuple(models)), random_points(4), Adapted()
    found = evaluate(program, span, points, data, plan=plan)
    assert plan.sentence == PLAINLY
    assert torch.equal(columns(found), columns(evaluate(program, span, points, data)))


def test_a_copy_of_a_plan_as_it_travels_gives_the_same_bits():
    program, models, data = setting(MODELS[3], 6)
    span, points, plan = Span(NAMES, tuple(models)), random_points(4), Adapted(hoist=True)
    here = evaluate(program, span, points, data, plan=plan)
    there = evaluate(program, span, points, data, plan=copy.deepcopy(plan))
    assert torch.equal(columns(here), columns(there))


@pytest.mark.parametrize("plan", PLANS)
def test_progress_counts_every_point_and_cancelling_stops_within_a_group(plan):
    program, models, data = setting(MODELS[3], 6)
    span, points, seen = Span(NAMES, tuple(models)), random_points(4), []
    evaluate(program, span, points, data, progress=seen.append, plan=PLANS[plan]())
    assert seen == [1, 2, 3, 4, 5, 6, 7]
    asked = []

    def should_stop():
        asked.append(1)
        return len(asked) > 5

    with pytest.raises(CancelledError, match="cancelled"):
        evaluate(
            program, span, points, data,
            batch_size=1, should_stop=should_stop, plan=PLANS[plan](),
        )  # fmt: skip
    assert len(asked) == 6


def test_the_rule_takes_wide_first_layers_and_leaves_narrow_ones():
    wide = nn.Sequential(nn.Linear(300, 40), nn.ReLU(), nn.Linear(40, 3))
    program = capture(wide, torch.randn(2, 300))
    plan = Adapted()
    data = Data(torch.randn(5, 300), torch.arange(5) % 3)
    evaluate_model(program, state(wide), data, plan=plan)
    assert plan.sentence == "99% of the operations once per model"
    program, models, data = setting(MODELS[3], 6)
    evaluate_model(program, models[0], data, plan=plan)
    assert plan.sentence == "2 of 2 BatchNorms folded; channels last"


@pytest.mark.gpu
def test_cuda_equals_the_plain_plan():
    program, models, data = setting(MODELS[6], 17)
    span, points = Span(NAMES, tuple(models)), random_points(1)
    wanted = evaluate(program, span, points, data, device="cuda")
    found = evaluate(program, span, points, data, device="cuda", plan=Adapted(hoist=True))
    torch.testing.assert_close(columns(found), columns(wanted), rtol=1e-2, atol=1e-2)
