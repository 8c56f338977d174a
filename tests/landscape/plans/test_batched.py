"""Several points at once: when, how many, with which memory; that they equal others is in
`test_adapted.py`."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from engine.landscape import ResetData, Span, activation_bytes, evaluate
from engine.landscape.loss import loss_sums
from engine.landscape.memory import points_at_once
from engine.landscape.plan import Task
from engine.landscape.plans import Adapted, batched, exact
from engine.landscape.plans.batched import MOST_POINTS, SMALL_BATCH, chunk_for
from engine.landscape.plans.cost import operations
from engine.landscape.plans.parts import make_parts
from engine.landscape.plans.point import PointMaker
from engine.landscape.plans.stacked import Stack
from engine.program import capture
from engine.repair import PointRepair
from tests.landscape.oracle import Data, program_of, setting, state
from tests.landscape.plans.test_adapted import NAMES, columns, random_points
from tests.landscape.test_memory import LiveBytes
from tests.models import MODELS

CPU = torch.device("cpu")


def task_of(model, samples=6, **named):
    program, models, data = setting(model, samples)
    span = Span(NAMES, tuple(models)).to("cpu", program.parameters)
    return Task(program, span, (data.inputs,), None, 4, lambda: None, **named)


@pytest.mark.parametrize("model", [MODELS[1], MODELS[5]], ids=lambda m: m.name)
@pytest.mark.parametrize("renewed", ["", "reset", "changed"])
def test_a_stack_holds_the_points_that_are_formed_one_by_one(model, renewed):
    task = task_of(model)
    if renewed == "reset":
        task = replace(task, reset=ResetData(model.inputs(8, seed=2)))
    if renewed == "changed":
        task = task_of(model, change=halved)
    parts = make_parts(task.program, CPU, stacked=True)
    points = random_points(2, points=4)
    with torch.inference_mode():
        found = Stack(parts, task, 4).form(points)
        maker = PointMaker(parts, task)
        for place, row in enumerate(points.tolist()):
            for name, tensor in maker.form(row).items():
                if tensor.is_floating_point():
                    torch.testing.assert_close(found[name][place], tensor, rtol=2e-5, atol=1e-6)


def halved(row, point):
    name = next(name for name in point if name.endswith("weight"))
    return {name: point[name] * row[1] / 2}


def test_a_corner_in_a_stack_is_its_model_bit_for_bit():
    task = task_of(MODELS[1])
    points = torch.tensor([[0.0, 1, 0], [0.5, 0, 0.5], [0, 0, 1]], dtype=torch.float64)
    found = Stack(make_parts(task.program, CPU, stacked=True), task, 3).form(points)
    for place, model in ((0, 1), (2, 2)):
        for name, tensor in task.span.models[model].items():
            assert torch.equal(found[name][place], tensor)


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name)
def test_points_that_are_repaired_equal_those_of_the_exact_plan(model):
    program, models, data = setting(model, 7)
    span, points = Span(NAMES, tuple(models)), random_points(3, points=3)
    repair = PointRepair(ResetData(model.inputs(12, seed=3)))
    wanted, found = (
        evaluate(program, span, points, data, plan=plan, repair=repair)
        for plan in (exact(), batched())
    )
    torch.testing.assert_close(columns(found), columns(wanted), rtol=5e-5, atol=1e-5)


@pytest.mark.parametrize("index", [0, 3])
def test_lower_precision_is_off_by_its_rounding(index):
    program, models, data = setting(MODELS[index], 40)
    span, points = Span(NAMES, tuple(models)), random_points(2)
    plan = Adapted(hoist=True, lower=torch.bfloat16, several=True)
    wanted = evaluate(program, span, points, data).loss
    found = evaluate(program, span, points, data, plan=plan).loss
    assert 1e-6 < float((found / wanted - 1).abs().max()) < 3e-2
    assert plan.sentence.endswith("25 points at once; bfloat16 after the first layers")


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name)
@pytest.mark.parametrize("batch", [1, 40])
def test_the_memory_of_points_at_once_is_bounded_by_the_estimate(model, batch):
    task, points = task_of(model, batch), 6
    parts = make_parts(task.program, CPU, stacked=True)
    targets = torch.zeros(batch, dtype=torch.int64)
    with torch.inference_mode():
        stacked = Stack(parts, task, points).form(random_points(1, points=points))
        run = torch.func.vmap(lambda point: parts.rest(point, *task.inputs))
        with LiveBytes([*stacked.values(), *task.inputs, targets]) as live:
            outputs = run(stacked)
            loss_sums(outputs, targets)
    assert 0 < live.peak <= points * (activation_bytes(task.program, batch, stacked=True) + 4096)


def test_as_many_points_as_fit_into_memory():
    program = program_of(MODELS[0])
    weights = 4 * sum(tensor.numel() for tensor in state(MODELS[0].module()).values())
    each = activation_bytes(program, 10, stacked=True)
    bounds = {"memory_bound": 1 << 30, "stack_bytes": 1 << 30}
    for name, value, wanted in (
        ("memory_bound", 7 * each + 1, 7),
        ("memory_bound", each - 1, 0),
        ("stack_bytes", (3 * 5 + 2) * weights, 5),
        ("stack_bytes", weights, 0),
    ):
        assert points_at_once(program, 10, models=2, **(bounds | {name: value})) == wanted


def test_several_points_where_they_are_asked_or_a_small_model_is_on_a_gpu():
    task = task_of(MODELS[0])
    assert chunk_for(task, True, 1 << 30) == (MOST_POINTS, None)
    assert chunk_for(task, None, 1 << 30) == (1, None)
    assert chunk_for(task, False, 1 << 30) == (1, None)
    assert chunk_for(task, True, 100) == (1, "two would not fit into memory")
    there = SimpleNamespace(**{name: getattr(task, name) for name in task.__annotations__})
    there.inputs = (FakeInput(6),)
    assert chunk_for(there, None, 1 << 30) == (MOST_POINTS, None)
    assert chunk_for(there, None, 100) == (1, None)
    work = sum(map(operations, task.program.graph_module.graph.nodes))
    there.batch_size = int(SMALL_BATCH / work) + 1
    there.inputs = (FakeInput(there.batch_size),)
    assert chunk_for(there, None, 1 << 30) == (1, None)


class FakeInput:
    """As much of a tensor on a GPU as a rule looks at."""

    device = torch.device("cuda")

    def __init__(self, samples):
        self.samples = samples

    def __len__(self):
        return self.samples


def test_a_plan_that_cannot_says_so_and_goes_on_one_by_one():
    class Bilinear(nn.Module):
        def __init__(self):
            super().__init__()
            self.both = nn.Bilinear(4, 4, 3)

        def forward(self, x):
            return self.both(x, x.relu())

    modules = [Bilinear() for _ in NAMES]
    program = capture(modules[0], torch.randn(2, 4))
    span = Span(NAMES, tuple(map(state, modules)))
    data, plan = Data(torch.randn(5, 4), torch.arange(5) % 3), batched()
    found = evaluate(program, span, random_points(1), data, plan=plan)
    said = "one point at a time: torch does not take several at once through aten::bilinear"
    assert plan.sentence == f"nothing shared, memory reused; {said}"
    wanted = evaluate(program, span, random_points(1), data, plan=exact())
    assert torch.equal(columns(found), columns(wanted))


def test_a_bound_on_memory_makes_chunks_smaller_and_then_single_points():
    program, models, data = setting(MODELS[2], 9)
    span, points, plan = Span(NAMES, tuple(models)), random_points(2), batched()
    wanted = evaluate(program, span, points, data, batch_size=4)
    each = activation_bytes(program, 4, stacked=True)
    for bound, said in ((3 * each, "3 points at once"), (each, "one point at a time: two would")):
        found = evaluate(
            program, span, points, data, batch_size=4, plan=plan, memory_bound=bound
        )  # fmt: skip
        assert said in plan.sentence
        torch.testing.assert_close(columns(found), columns(wanted), rtol=2e-5, atol=1e-5)


@pytest.mark.gpu
def test_on_cuda_a_small_model_takes_several_at_once_by_rule():
    program, models, data = setting(MODELS[6], 17)
    span, points, plan = Span(NAMES, tuple(models)), random_points(1), exact()
    wanted = evaluate(program, span, points, data, device="cuda")
    found = evaluate(program, span, points, data, device="cuda", plan=plan)
    assert "25 points at once" in plan.sentence
    torch.testing.assert_close(columns(found), columns(wanted), rtol=1e-4, atol=1e-4)
