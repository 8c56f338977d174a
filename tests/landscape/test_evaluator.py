from __future__ import annotations

import pytest
import torch
from torch import nn

from engine.errors import CancelledError, LandscapeError, ProgramError
from engine.landscape import (
    ResetData,
    Span,
    activation_bytes,
    evaluate,
    evaluate_model,
    geometry_names,
    line,
    make_plane,
    plain,
)
from engine.program import capture
from tests.landscape.oracle import Data, Tied, combine, losses, setting, state
from tests.landscape.test_statistics import train_forward
from tests.models import MODELS

NAMES = ("A", "B", "C")
POINTS = torch.tensor([[1, 0, 0], [0.2, 0.3, 0.5], [-0.5, 0.9, 0.6]], dtype=torch.float64)


def columns(tally):
    return torch.stack((tally.loss_sum, tally.loss_square_sum, tally.correct))


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name)
def test_sums_equal_a_dense_float64_loop_over_the_module(model):
    program, models, data = setting(model, 17)
    tally = evaluate(program, Span(NAMES, tuple(models)), POINTS, data, batch_size=5)
    assert tally.count == 17
    for g, row in enumerate(POINTS):
        loss, hits = losses(model.module(), combine(models, row), data)
        torch.testing.assert_close(tally.loss_sum[g], loss.sum(), rtol=2e-5, atol=1e-5)
        torch.testing.assert_close(
            tally.loss_square_sum[g], loss.square().sum(), rtol=4e-5, atol=1e-5
        )
        assert float(tally.correct[g]) == float(hits.sum())


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name)
def test_the_ends_of_a_line_equal_the_models_bit_for_bit(model):
    program, models, data = setting(model, 9, models=2)
    tally = evaluate(program, Span(("A", "B"), tuple(models)), line(3), data)
    for point, params in ((0, models[0]), (2, models[1])):
        own = evaluate_model(program, params, data)
        assert torch.equal(columns(tally)[:, point], columns(own)[:, 0])


@pytest.mark.parametrize("reset", [False, True])
def test_the_corners_of_a_plane_equal_the_models_bit_for_bit(reset):
    model = MODELS[6]
    program, models, data = setting(model, 9)
    again = ResetData(model.inputs(12, seed=3)) if reset else None
    names = geometry_names(program)
    plane = make_plane(*models, resolution=5, names=names)
    corners = evaluate(program, plane.span, plane.corners, data, reset=again)
    grid = evaluate(program, plane.span, plane.coefficients, data, reset=again)
    for k, params in enumerate(models):
        own = evaluate_model(program, params, data, reset=again)
        assert torch.equal(columns(corners)[:, k], columns(own)[:, 0])
    assert torch.equal(columns(grid)[:, 5 + 1], columns(corners)[:, 0])
    assert torch.equal(columns(grid)[:, 5 + 3], columns(corners)[:, 1])


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name)
def test_batch_size_changes_nothing_beyond_rounding(model):
    program, models, data = setting(model, 23)
    span = Span(NAMES, tuple(models))
    whole = columns(evaluate(program, span, POINTS, data, batch_size=100))
    for size in (1, 7, 23):
        part = columns(evaluate(program, span, POINTS, data, batch_size=size))
        torch.testing.assert_close(part, whole, rtol=1e-5, atol=1e-6)


def test_points_do_not_depend_on_the_others_in_the_call():
    program, models, data = setting(MODELS[3], 8)
    span, reset = Span(NAMES, tuple(models)), ResetData(MODELS[3].inputs(8))
    together = columns(evaluate(program, span, POINTS, data, reset=reset))
    for g in range(len(POINTS)):
        alone = columns(evaluate(program, span, POINTS[g : g + 1], data, reset=reset))
        assert torch.equal(alone[:, 0], together[:, g])


def test_reset_equals_a_forward_in_train_mode_at_every_point():
    model = MODELS[3]
    program, models, data = setting(model, 11)
    x = model.inputs(20, seed=8)
    tally = evaluate(program, Span(NAMES, tuple(models)), POINTS, data, reset=ResetData(x))
    for g, row in enumerate(POINTS):
        params = combine(models, row)
        module = model.module().double()
        module.load_state_dict(params)
        _, trained = train_forward(module, [x])
        statistics = {name: trained[name] for name in program.statistics_names}
        loss, _ = losses(model.module(), params | statistics, data)
        torch.testing.assert_close(tally.loss_sum[g], loss.sum(), rtol=1e-4, atol=1e-4)
    plain_tally = evaluate(program, Span(NAMES, tuple(models)), POINTS, data)
    assert not torch.allclose(tally.loss, plain_tally.loss, rtol=1e-2)


def test_reset_leaves_models_without_batch_norm_alone():
    program, models, data = setting(MODELS[0], 5)
    reset = ResetData(torch.zeros(1, 12))
    own = evaluate_model(program, models[0], data)
    assert torch.equal(own.loss_sum, evaluate_model(program, models[0], data, reset=reset).loss_sum)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_checkpoints_of_other_precision(dtype):
    model = MODELS[3]
    program, models, data = setting(model, 9)
    models = [
        {n: t.to(dtype) if t.is_floating_point() else t for n, t in m.items()} for m in models
    ]
    tally = evaluate(program, Span(NAMES, tuple(models)), POINTS, data)
    tolerance = 1e-12 if dtype == torch.float64 else 2e-5
    for g, row in enumerate(POINTS):
        loss, _ = losses(model.module(), combine(models, row), data)
        torch.testing.assert_close(tally.loss_sum[g], loss.sum(), rtol=tolerance, atol=tolerance)


def test_tied_weights():
    modules = [Tied() for _ in range(2)]
    program = capture(modules[0], torch.randn(2, 6))
    data = Data(torch.randn(7, 6), torch.arange(7) % 6)
    models = [state(module) for module in modules]
    row = torch.tensor([0.4, 0.6], dtype=torch.float64)
    tally = evaluate(program, Span(("A", "B"), tuple(models)), row[None], data)
    loss, hits = losses(modules[0], combine(models, row), data)
    torch.testing.assert_close(tally.loss_sum[0], loss.sum(), rtol=1e-5, atol=1e-5)
    assert float(tally.correct[0]) == float(hits.sum())


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(5, 4)
        self.head = nn.Linear(4, 3)

    def forward(self, tokens, x):
        return self.head(self.table(tokens) + x)


def test_several_inputs_of_which_some_are_whole_numbers():
    module = TwoInputs()
    tokens, x = torch.arange(6) % 5, torch.randn(6, 4)
    program = capture(module, (tokens, x))
    data = Data((tokens, x), torch.arange(6) % 3)
    tally = evaluate_model(program, state(module), data, batch_size=4)
    expected = nn.functional.cross_entropy(module(tokens, x), data.targets)
    assert float(tally.loss[0]) == pytest.approx(float(expected.detach()), rel=1e-5)


def test_diverged_points_are_nan_and_the_others_are_not():
    program, models, data = setting(MODELS[0], 6)
    models[1] = models[1] | {"1.weight": torch.full_like(models[1]["1.weight"], torch.nan)}
    tally = evaluate(program, Span(NAMES, tuple(models)), POINTS, data)
    assert tally.loss[0].isfinite()
    assert tally.loss[1:].isnan().all()
    assert tally.accuracy[1:].isnan().all()
    assert tally.loss_se[1:].isnan().all()


def test_nothing_given_is_written_to_and_results_are_ordinary_tensors():
    program, models, data = setting(MODELS[3], 6)
    before = [{n: t.clone() for n, t in m.items()} for m in models]
    inputs, points = data.inputs.clone(), POINTS.clone()
    reset = ResetData(MODELS[3].inputs(8))
    tally = evaluate(program, Span(NAMES, tuple(models)), points, data, reset=reset)
    assert all(torch.equal(o[n], m[n]) for o, m in zip(before, models, strict=True) for n in o)
    assert torch.equal(inputs, data.inputs)
    assert torch.equal(points, POINTS)
    tally.loss_sum.add_(1)
    assert not tally.loss_sum.is_inference()


def test_progress_counts_points():
    program, models, data = setting(MODELS[0], 6)
    seen: list[int] = []
    evaluate(program, Span(NAMES, tuple(models)), POINTS, data, progress=seen.append)
    assert seen == [1, 2, 3]


@pytest.mark.parametrize("reset", [False, True])
def test_cancelling_stops_between_batches(reset):
    program, models, data = setting(MODELS[3], 6)
    asked: list[int] = []
    done: list[int] = []

    def should_stop():
        asked.append(1)
        return len(asked) > 6

    with pytest.raises(CancelledError, match="cancelled"):
        evaluate(
            program,
            Span(NAMES, tuple(models)),
            POINTS,
            data,
            batch_size=2,
            reset=ResetData(MODELS[3].inputs(8), 2) if reset else None,
            progress=done.append,
            should_stop=should_stop,
        )
    assert len(asked) == 7
    assert done == ([] if reset else [1])


def test_no_points_are_an_empty_tally():
    program, models, data = setting(MODELS[0], 6)
    tally = evaluate(program, Span(NAMES, tuple(models)), torch.zeros(0, 3), data)
    assert tally.loss.shape == (0,)
    assert tally.count == 6


def test_a_plan_sees_batches_that_keep_to_the_memory_bound():
    program, models, data = setting(MODELS[3], 40)
    tasks = []

    def plan(task):
        tasks.append(task)
        return plain(task)

    bound = activation_bytes(program, 9)
    reset = ResetData(MODELS[3].inputs(20))
    span = Span(NAMES, tuple(models))
    evaluate(program, span, POINTS, data, memory_bound=bound, reset=reset, plan=plan)
    assert tasks[0].batch_size == 9
    assert tasks[0].reset.batch_size == 9


@pytest.mark.parametrize(("inputs", "targets"), [(0, 0), (4, 3)], ids=["none", "uneven"])
def test_data_that_does_not_fit_itself_is_refused(inputs, targets):
    program, models, _ = setting(MODELS[0], 1)
    data = Data(torch.zeros(inputs, 12), torch.zeros(targets, dtype=torch.int64))
    with pytest.raises(LandscapeError, match="one target per sample and at least one sample"):
        evaluate_model(program, models[0], data)


def test_targets_and_inputs_that_do_not_fit_the_model_are_refused():
    program, models, data = setting(MODELS[0], 5)
    with pytest.raises(LandscapeError, match="classes run from 0 to 4, but the model has 4"):
        evaluate_model(program, models[0], Data(data.inputs, torch.arange(5)))
    with pytest.raises(ProgramError, match=r"not \[batch, 12"):
        evaluate_model(program, models[0], Data(torch.zeros(5, 7), data.targets))
    with pytest.raises(ProgramError, match="missing"):
        evaluate_model(program, {}, data)


def test_outputs_that_are_not_what_the_targets_ask_for_are_refused():
    module = nn.Conv2d(1, 2, 1)
    program = capture(module, torch.zeros(2, 1, 3, 3))
    data = Data(torch.zeros(4, 1, 3, 3), torch.zeros(4, dtype=torch.int64))
    with pytest.raises(LandscapeError, match=r"of shape \[N\], but the model returns \[N, 2, 3, 3"):
        evaluate_model(program, state(module), data)


@pytest.mark.gpu
def test_cuda_equals_the_cpu():
    model = MODELS[3]
    program, models, data = setting(model, 17)
    span, reset = Span(NAMES, tuple(models)), ResetData(model.inputs(8))
    for again in (None, reset):
        cpu = columns(evaluate(program, span, POINTS, data, reset=again))
        cuda = columns(evaluate(program, span, POINTS, data, reset=again, device="cuda"))
        torch.testing.assert_close(cuda, cpu, rtol=1e-2, atol=1e-2)
