from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from engine.errors import CancelledError, LandscapeError
from engine.landscape import ResetData, reset_statistics
from engine.program import capture
from tests.landscape.oracle import program_of, state
from tests.models import MODELS, Model

NORMED = [
    model for model in MODELS if "batch" in model.name or model.name in ("resnet-a", "resnet-b")
]
NORMED.append(
    Model(
        "mlp-batchnorm",
        lambda: nn.Sequential(nn.Linear(12, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 4)),
        (12,),
        (6,),
    )
)


def train_forward(module, batches):
    """Return, per BatchNorm, what enters it in train-mode forwards of the batches."""
    module = copy.deepcopy(module).double().train()
    seen: dict[str, list] = {}
    for name, part in module.named_modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            part.momentum = None
            part.reset_running_stats()
            part.register_forward_pre_hook(lambda m, x, n=name: seen.setdefault(n, []).append(x[0]))
        if isinstance(part, nn.Dropout):
            part.eval()
    with torch.no_grad():
        for batch in batches:
            module(batch.double())
    return seen, state(module)


@pytest.mark.parametrize("model", NORMED, ids=lambda m: m.name)
def test_one_batch_equals_a_forward_in_train_mode(model):
    module, x = model.module(), model.inputs(16)
    program = program_of(model)
    got = reset_statistics(program, state(module), (x,))
    _, expected = train_forward(module, [x])
    assert got.keys() == program.statistics_names
    for name, tensor in got.items():
        assert tensor.dtype == torch.float32
        torch.testing.assert_close(tensor.double(), expected[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("model", NORMED, ids=lambda m: m.name)
def test_several_batches_are_pooled_exactly(model):
    module, x = model.module(), model.inputs(23)
    params = {n: t.double() if t.is_floating_point() else t for n, t in state(module).items()}
    program = program_of(model)
    got = reset_statistics(program, params, (x.double(),), batch_size=6)
    seen, _ = train_forward(module, [x[:6], x[6:12], x[12:18], x[18:]])
    for name, batches in seen.items():
        values = torch.cat(batches).transpose(0, 1).flatten(1)
        torch.testing.assert_close(got[f"{name}.running_mean"], values.mean(1))
        torch.testing.assert_close(got[f"{name}.running_var"], values.var(1))


class Shared(nn.Module):
    """One BatchNorm called twice, on rows that merge batch and positions."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(3)

    def forward(self, x):
        rows = x.flatten(0, 1)
        rows = self.norm(3 * self.norm(rows) + rows + 1)
        return rows.view(-1, 5, 3).mean(1)


def test_a_layer_that_is_called_twice_pools_all_that_it_sees():
    module, x = Shared(), torch.randn(7, 5, 3, dtype=torch.float64)
    program = capture(module.eval(), x.float())
    params = {name: t.double() for name, t in program.named(module.state_dict()).items()}
    got = reset_statistics(program, params, (x,), batch_size=4)
    seen, _ = train_forward(module, [x[:4], x[4:]])
    values = torch.cat(seen["norm"])
    assert len(values) == 70
    torch.testing.assert_close(got["norm.running_mean"], values.mean(0))
    torch.testing.assert_close(got["norm.running_var"], values.var(0))


def test_the_points_own_statistics_do_not_matter_and_are_not_written():
    model = NORMED[0]
    module, x = model.module(), model.inputs(8)
    program, params = program_of(model), state(module)
    broken = params | {name: torch.full_like(params[name], 7) for name in program.statistics_names}
    first = reset_statistics(program, params, (x,))
    second = reset_statistics(program, broken, (x,))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert all((broken[name] == 7).all() for name in program.statistics_names)


def test_no_batch_is_a_single_sample():
    model = NORMED[-1]
    program = program_of(model)
    got = reset_statistics(program, state(model.module()), (model.inputs(7),), batch_size=1)
    assert all(tensor.isfinite().all() for tensor in got.values())


def test_one_sample_is_refused():
    model = NORMED[0]
    program = program_of(model)
    with pytest.raises(LandscapeError, match="at least 2 training inputs; 1 was given"):
        reset_statistics(program, state(model.module()), (model.inputs(1),))


def test_check_is_called_before_each_batch():
    model = NORMED[0]
    program, calls = program_of(model), []

    def check():
        calls.append(1)
        if len(calls) == 3:
            raise CancelledError("stop")

    with pytest.raises(CancelledError, match="stop"):
        reset_statistics(
            program, state(model.module()), (model.inputs(20),), batch_size=4, check=check
        )
    assert len(calls) == 3


def test_nan_weights_give_nan_statistics():
    model = NORMED[0]
    program, params = program_of(model), state(model.module())
    params["0.weight"][0] = torch.nan
    got = reset_statistics(program, params, (model.inputs(6),), batch_size=2)
    assert got["1.running_mean"][0].isnan()
    assert got["1.running_var"][0].isnan()
    assert got["1.running_mean"][1:].isfinite().all()


def test_reset_data_has_a_batch_size_of_its_own():
    assert ResetData(torch.zeros(2, 1)).batch_size == 250
