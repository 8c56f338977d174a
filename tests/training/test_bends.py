"""Bends in training: gradients by finite differences, two basins, the same bits again, resume."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F

from engine.errors import CancelledError, LandscapeError, ProgramError, TrainingError
from engine.landscape import Span, evaluate, line
from engine.landscape.curve import curve, places
from engine.program import capture
from engine.training.bend_options import BendOptions
from engine.training.bend_records import Samples
from engine.training.bends import train_bends
from engine.training.train import seeded
from tests.landscape.oracle import Data

OPTIONS = BendOptions(epochs=3, batch_size=16)


def net(norm: bool = False) -> nn.Sequential:
    middle = [nn.BatchNorm1d(5)] if norm else []
    return nn.Sequential(nn.Linear(4, 5), *middle, nn.Tanh(), nn.Linear(5, 3)).eval()


def models(count: int, dtype=torch.float32, norm: bool = False) -> list[dict[str, torch.Tensor]]:
    draws = torch.Generator().manual_seed(3)
    shapes = {n: t for n, t in net(norm).state_dict().items() if t.is_floating_point()}
    return [
        {
            n: torch.rand(t.shape, generator=draws, dtype=dtype) + (0.5 if "var" in n else -0.5)
            for n, t in shapes.items()
        }
        for _ in range(count)
    ]


@pytest.fixture(scope="module")
def program():
    return capture(net(), torch.zeros(2, 4))


@pytest.fixture(scope="module")
def normed():
    return capture(net(norm=True), torch.zeros(2, 4))


def samples(count: int = 64) -> Samples:
    draws = torch.Generator().manual_seed(5)
    inputs = torch.randn(count, 4, generator=draws)
    return Samples((inputs,), torch.randint(0, 3, (count,), generator=draws))


def after_one_step(shape: str, bends: int, decay: float):
    """What SGD does in its first step, by central differences of the objective in float64."""
    a, end = models(2, torch.float64)
    options = BendOptions(
        shape=shape,
        bends=bends,
        epochs=1,
        batch_size=64,
        optimiser="sgd",
        rate=0.5,
        weight_decay=decay,
    )
    t = float(torch.rand(1, generator=seeded(0, "curve places, epoch 0"), dtype=torch.float64))
    row = curve(shape, bends, [t])[0]
    shares = [k / (bends + 1) for k in range(1, bends + 1)]
    start = [{n: (1 - s) * a[n] + s * end[n] for n in a} for s in shares]
    given, module = samples(), net().double()

    def objective(moved) -> float:
        every = [a, *moved, end]
        point = {n: sum(w * m[n] for w, m in zip(row, every, strict=True)) for n in a}
        outputs = functional_call(module, point, given.inputs[0].double())
        penalty = sum(float(p.square().sum()) for p in point.values())
        return float(F.cross_entropy(outputs, given.targets)) + decay / 2 * penalty

    expected, small = [], 1e-6
    for k, bend in enumerate(start):
        slopes = {n: torch.zeros_like(tensor) for n, tensor in bend.items()}
        for n, tensor in bend.items():
            for at in np.ndindex(*tensor.shape):
                both = []
                for sign in (1, -1):
                    changed = tensor.clone()
                    changed[at] += sign * small
                    moved = [*start[:k], bend | {n: changed}, *start[k + 1 :]]
                    both.append(objective(moved))
                slopes[n][at] = (both[0] - both[1]) / (2 * small)
        expected.append({n: bend[n] - options.rate * slopes[n] for n in bend})
    return options, a, end, expected


@pytest.mark.parametrize(
    ("shape", "bends", "decay"), [("bezier", 1, 0.0), ("bezier", 2, 0.1), ("polygon", 2, 0.0)]
)
def test_a_step_follows_the_gradient_of_the_objective(program, shape, bends, decay):
    options, a, end, expected = after_one_step(shape, bends, decay)
    found = train_bends(program, a, end, samples(), options)
    assert len(found.bends) == bends
    for bend, wanted in zip(found.bends, expected, strict=True):
        for name, tensor in bend.items():
            torch.testing.assert_close(tensor, wanted[name], rtol=1e-6, atol=1e-8)


def test_two_basins_are_joined_where_the_straight_line_has_a_barrier():
    """tanh(1.5 x) by one hidden unit or by the other: half-way both are at work, too flat."""
    module = nn.Sequential(nn.Linear(1, 2, bias=False), nn.Tanh(), nn.Linear(2, 1, bias=False))
    x = torch.linspace(-2, 2, 64)[:, None]
    given = Samples((x,), torch.tanh(1.5 * x))
    program = capture(module, x[:2])
    a = {"0.weight": torch.tensor([[1.5], [0.0]]), "2.weight": torch.tensor([[1.0, 0.0]])}
    end = {"0.weight": torch.tensor([[0.0], [1.5]]), "2.weight": torch.tensor([[0.0, 1.0]])}
    data = Data(x, given.targets)
    straight = evaluate(program, Span(("A", "end"), (a, end)), line(25), data).loss
    assert float(straight.max()) > 0.04
    for shape in ("bezier", "polygon"):
        options = BendOptions(shape=shape, epochs=60, batch_size=32, rate=0.02)
        found = train_bends(program, a, end, given, options)
        span = Span(("A", "bend", "end"), (a, *found.bends, end))
        curved = evaluate(program, span, curve(shape, 1, places(25)), data).loss
        assert float(curved.max()) < 0.2 * float(straight.max())


@pytest.mark.parametrize("optimiser", ["adam", "sgd"])
def test_the_same_seed_gives_the_same_bits_and_another_one_does_not(program, optimiser):
    a, end = models(2)
    options = replace(OPTIONS, optimiser=optimiser)
    first, again, other = (
        train_bends(program, a, end, samples(), replace(options, seed=seed)) for seed in (0, 0, 1)
    )
    assert all(torch.equal(t, again.bends[0][n]) for n, t in first.bends[0].items())
    assert np.array_equal(first.losses, again.losses)
    assert not np.array_equal(first.places, other.places)
    assert first.steps == len(first.losses) == 12
    assert ((first.places >= 0) & (first.places < 1)).all()


@pytest.mark.parametrize("optimiser", ["adam", "sgd"])
def test_a_killed_training_goes_on_to_the_same_bits(program, optimiser):
    a, end = models(2)
    options = replace(OPTIONS, optimiser=optimiser, bends=2)
    states: list = []
    whole = train_bends(program, a, end, samples(), options, keep=states.append)
    assert [len(state["losses"]) for state in states] == list(range(1, 13))
    for state in (states[0], states[6], states[-1]):
        steps: list = []
        found = train_bends(program, a, end, samples(), options, kept=state, progress=steps.append)
        assert [told.step for told in steps] == list(range(len(state["losses"]) + 1, 13))
        assert np.array_equal(found.losses, whole.losses)
        for bend, wanted in zip(found.bends, whole.bends, strict=True):
            assert all(torch.equal(bend[n], t) for n, t in wanted.items())


def test_what_was_kept_of_another_training_is_not_used(program):
    a, end = models(2)
    states: list = []
    train_bends(program, a, end, samples(), replace(OPTIONS, bends=2), keep=states.append)
    wanted = train_bends(program, a, end, samples(), OPTIONS)
    whole = states[-1]
    long = {**whole, "bends": whole["bends"][:1], "losses": np.zeros(99)}
    for kept in (whole, long, {"bends": np.zeros(3)}, {}):
        found = train_bends(program, a, end, samples(), OPTIONS, kept=kept)
        assert torch.equal(found.bends[0]["0.weight"], wanted.bends[0]["0.weight"])


def test_a_cancelled_training_keeps_what_it_reached(program):
    a, end = models(2)
    states: list = []
    done: list = []
    options = replace(OPTIONS, epochs=30)  # 120 steps, kept after every fifth
    with pytest.raises(CancelledError, match="cancelled in step 8 of the curve's training"):
        train_bends(
            program,
            a,
            end,
            samples(),
            options,
            keep=states.append,
            progress=done.append,
            should_stop=lambda: len(done) == 7,
        )
    assert [len(state["losses"]) for state in states] == [5, 7]
    whole = train_bends(program, a, end, samples(), options)
    rest = train_bends(program, a, end, samples(), options, kept=states[-1])
    assert np.array_equal(rest.losses, whole.losses)


def test_a_training_that_diverges_says_so_and_keeps_no_number_for_it(program):
    a, end = models(2)
    wild = replace(OPTIONS, optimiser="sgd", rate=1e6, weight_decay=1e6)
    states: list = []
    found = train_bends(program, a, end, samples(), wild, keep=states.append)
    taken = len(found.losses)
    assert 1 < taken < found.steps == 12
    assert found.diverged is not None
    assert f"diverged in step {taken} of 12, at t = 0." in found.diverged
    assert "Try a lower rate than 1e+06." in found.diverged
    assert not math.isfinite(found.losses[-1])
    assert np.isfinite(found.losses[:-1]).all()
    again = train_bends(program, a, end, samples(), wild, kept=states[-1])
    assert again.diverged == found.diverged
    np.testing.assert_array_equal(again.losses, found.losses)


def test_norms_use_their_batch_and_statistics_stay_on_the_line(normed):
    a, end = models(2, norm=True)
    found = train_bends(normed, a, end, samples(), OPTIONS)
    moved = {name: tensor * 3 for name, tensor in a.items() if "running" in name}
    other = train_bends(normed, a | moved, end, samples(), OPTIONS)
    assert torch.equal(found.bends[0]["0.weight"], other.bends[0]["0.weight"])
    middle = (a["1.running_var"] + end["1.running_var"]) / 2
    torch.testing.assert_close(found.bends[0]["1.running_var"], middle)
    assert set(found.bends[0]) == set(normed.parameters)


def test_bends_begin_where_they_are_told(program):
    a, end, start = models(3)
    slow = replace(OPTIONS, rate=1e-30)
    found = train_bends(program, a, end, samples(), slow, start=[start])
    assert torch.equal(found.bends[0]["0.weight"], start["0.weight"])
    with pytest.raises(TrainingError, match="2 starts were given for 1 bends; give one for each"):
        train_bends(program, a, end, samples(), OPTIONS, start=[start, start])


def test_half_precision_is_trained_in_single(program):
    a, end = ({n: t.half() for n, t in model.items()} for model in models(2))
    found = train_bends(program, a, end, samples(), OPTIONS)
    assert {tensor.dtype for tensor in found.bends[0].values()} == {torch.float32}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"bends": 0}, "takes 1 to 8 bends, not 0"),
        ({"bends": 9}, "takes 1 to 8 bends, not 9"),
        ({"shape": "spiral"}, "no curve called 'spiral'; there are bezier, polygon"),
        ({"optimiser": "newton"}, "no optimiser 'newton'; there are adam, sgd"),
        ({"epochs": 0}, "epochs must be at least 1, not 0"),
        ({"batch_size": 0}, "batch_size must be at least 1, not 0"),
        ({"rate": math.inf}, "the rate must be above 0 and at most 1e\\+06, not inf"),
        ({"weight_decay": -1.0}, "weight_decay must be from 0 to 1e\\+06, not -1.0"),
    ],
)
def test_options_that_make_no_sense_are_refused(values, message):
    with pytest.raises(TrainingError, match=message):
        BendOptions(**values)


def test_data_and_models_that_do_not_fit_are_refused(program):
    a, end = models(2)
    with pytest.raises(TrainingError, match=r"batch size 16 is larger .*\(3 samples\)"):
        train_bends(program, a, end, samples(3), OPTIONS)
    wrong = replace(samples(), targets=torch.full((64,), 7))
    with pytest.raises(LandscapeError, match="classes run from 7 to 7, but the model has 3"):
        train_bends(program, a, end, wrong, OPTIONS)
    with pytest.raises(ProgramError, match=r"parameters are missing: 0\.bias"):
        train_bends(program, a, {"0.weight": end["0.weight"]}, samples(), OPTIONS)


def test_a_model_without_trained_parameters_has_no_curve():
    class Fixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("scale", torch.ones(3))

        def forward(self, x):
            return x * self.scale

    program = capture(Fixed(), torch.zeros(2, 3))
    both = {"scale": torch.ones(3)}
    given = Samples((torch.zeros(16, 3),), torch.zeros(16, dtype=torch.int64))
    with pytest.raises(TrainingError, match="no trained parameter, so a curve has no bend"):
        train_bends(program, both, both, given, OPTIONS)
