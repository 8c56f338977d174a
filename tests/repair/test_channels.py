"""REPAIR and RESCALE against hooks on the modules themselves."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from engine.errors import RepairError
from engine.landscape import reset_statistics
from engine.program import capture
from engine.repair import Workshop, repair
from tests.landscape.oracle import program_of, state
from tests.models import MODELS, Model
from tests.repair.oracle import channels, repaired_by_hand
from tests.symmetry import nets

BY_NAME = {model.name: model for model in MODELS}
WEIGHTS = (0.3, 0.7)
ONE_BATCH = 1000


def doubles(model: Model, seed: int) -> dict:
    """Return a model's tensors in float64, so that rounding hides nothing."""
    tensors = state(model.module(seed))
    return {n: t.double() for n, t in tensors.items() if t.is_floating_point()}


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name)
def test_repaired_channels_have_the_interpolated_mean_and_deviation(model):
    x = model.inputs(40, seed=3)
    ends = [doubles(model, seed) for seed in (0, 1)]
    got = repair(
        program_of(model), ends, WEIGHTS, (x,), repairs=["repair"], batch_size=ONE_BATCH
    ).params
    both, scale = repaired_by_hand(model)
    first, second = (channels(model.module(), end, x) for end in ends)
    found = channels(model.module(), got, x)
    assert both
    for name in both | scale:
        target = WEIGHTS[0] * first[name] + WEIGHTS[1] * second[name]
        alive = found[name][1] > 1e-9
        assert alive.any()
        torch.testing.assert_close(found[name][1][alive], target[1][alive])
        if name in both:
            torch.testing.assert_close(found[name][0][alive], target[0][alive])


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name)
def test_rescaled_channels_have_the_interpolated_deviation(model):
    x = model.inputs(40, seed=3)
    ends = [doubles(model, seed) for seed in (0, 1)]
    got = repair(
        program_of(model), ends, WEIGHTS, (x,), repairs=["rescale"], batch_size=ONE_BATCH
    ).params
    both, scale = repaired_by_hand(model)
    first, second = (channels(model.module(), end, x) for end in ends)
    found = channels(model.module(), got, x)
    for name in both | scale:
        target = WEIGHTS[0] * first[name] + WEIGHTS[1] * second[name]
        alive = found[name][1] > 1e-9
        torch.testing.assert_close(found[name][1][alive], target[1][alive])


def test_rescaling_multiplies_whole_preactivations():
    model = BY_NAME["mlp"]
    ends, x = [doubles(model, seed) for seed in (0, 1)], model.inputs(30)
    program = program_of(model)
    middle = repair(program, ends, (0.5, 0.5), (x,), repairs=()).params
    got = repair(program, ends, (0.5, 0.5), (x,), repairs=["rescale"], batch_size=99).params
    factors = got["1.weight"] / middle["1.weight"]
    torch.testing.assert_close(factors, factors[:, :1].expand_as(factors))
    torch.testing.assert_close(got["1.bias"], middle["1.bias"] * factors[:, 0])
    assert torch.equal(got["5.weight"], middle["5.weight"])  # the logits are the temperature's


@pytest.mark.parametrize("key", ["repair", "rescale"])
@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name)
def test_near_an_end_a_repair_changes_nothing(model, key):
    """In the limit the point's statistics are its targets; at the end itself nothing is done."""
    ends, x = [doubles(model, seed) for seed in (0, 1)], model.inputs(40, seed=3)
    program = program_of(model)
    shop = Workshop(program, ends, (x,), repairs=[key], batch_size=ONE_BATCH)
    expected = program(ends[0], x.double())
    for place, slack in ((0.0, 0.0), (1e-9, 1e-6)):
        got = program(shop.at((1 - place, place)).params, x.double())
        torch.testing.assert_close(got, expected, rtol=slack, atol=slack)


def test_repair_resets_batch_norm_as_a_train_mode_forward_does():
    model = BY_NAME["resnet-b"]
    ends, x = [doubles(model, seed) for seed in (0, 1)], model.inputs(30)
    program = program_of(model)
    got = repair(program, ends, (0.5, 0.5), (x,), repairs=["repair"], batch_size=99).params
    again = reset_statistics(program, got, (x.double(),), batch_size=99)
    for name, tensor in again.items():
        # Train mode divides by the biased variance: a share of 1 / 1920 here.
        torch.testing.assert_close(got[name], tensor, rtol=1e-2, atol=1e-3)


def test_several_batches_come_close_and_the_first_layer_is_exact():
    model = BY_NAME["vgg"]
    ends, x = [doubles(model, seed) for seed in (0, 1)], model.inputs(200)
    program = program_of(model)
    whole, parts = (
        repair(program, ends, WEIGHTS, (x,), repairs=["repair"], batch_size=size).params
        for size in (ONE_BATCH, 50)
    )
    torch.testing.assert_close(parts["0.weight"], whole["0.weight"])
    for name in ("4.weight", "9.weight"):
        assert not torch.equal(parts[name], whole[name])
        torch.testing.assert_close(parts[name], whole[name], rtol=0.1, atol=0.02)


class Pair(nn.Module):
    """Two hidden units; both models may have one that is dead or constant."""

    def __init__(self, first: float, bias: float) -> None:
        super().__init__()
        self.hidden = nn.Linear(2, 2)
        self.out = nn.Linear(2, 2)
        with torch.no_grad():
            self.hidden.weight.copy_(torch.tensor([[first, first], [1.0, -2.0]]))
            self.hidden.bias.copy_(torch.tensor([bias, 0.5]))

    def forward(self, x):
        return self.out(torch.relu(self.hidden(x)))


@pytest.mark.parametrize("key", ["repair", "rescale"])
@pytest.mark.parametrize("bias", [0.0, 3.0, 1e6])
def test_constant_channels_are_left_alone(bias, key):
    a, b = state(Pair(0.0, bias)), state(Pair(0.0, -bias))
    program = capture(Pair(0.0, bias), torch.zeros(2, 2))
    x = torch.randn(20, 2, generator=torch.Generator().manual_seed(0))
    got = repair(program, (a, b), (0.5, 0.5), (x,), repairs=[key]).params
    assert torch.equal(got["hidden.weight"][0], torch.zeros(2))
    assert got["hidden.bias"][0] == 0  # the middle of both, not the middle of their values' sizes
    torch.testing.assert_close(got["hidden.weight"][1], a["hidden.weight"][1])


@pytest.mark.parametrize("key", ["repair", "rescale"])
def test_a_channel_that_cancels_in_the_middle_is_left_alone(key):
    a, b = state(Pair(1.0, 0.0)), state(Pair(-1.0, 0.0))
    program = capture(Pair(1.0, 0.0), torch.zeros(2, 2))
    x = torch.randn(20, 2, generator=torch.Generator().manual_seed(0))
    got = repair(program, (a, b), (0.5, 0.5), (x,), repairs=[key]).params
    assert all(tensor.isfinite().all() for tensor in got.values())
    assert torch.equal(got["hidden.weight"][0], torch.zeros(2))


def test_a_model_with_nan_is_named():
    model = BY_NAME["mlp"]
    ends, x = [doubles(model, seed) for seed in (0, 1)], model.inputs(10)
    ends[1]["3.weight"][2] = torch.nan
    with pytest.raises(RepairError, match="model 2 has values after linear_1 that are NaN or inf"):
        repair(program_of(model), ends, WEIGHTS, (x,), repairs=["repair"])


def test_one_sample_is_refused():
    model = BY_NAME["mlp"]
    ends = [doubles(model, seed) for seed in (0, 1)]
    with pytest.raises(RepairError, match="at least 2 training inputs; 1 was given"):
        repair(program_of(model), ends, WEIGHTS, (model.inputs(1),), repairs=["repair"])


@pytest.mark.parametrize(
    ("build", "inputs"),
    [
        (nets.Attention, torch.arange(100).view(20, 5) % 11),
        (nets.Mixer, torch.randn(20, 2, 8, 8, generator=torch.Generator().manual_seed(1))),
        (nets.UNet, torch.randn(20, 2, 8, 8, generator=torch.Generator().manual_seed(1))),
        (nets.MobileNet, torch.randn(20, 2, 8, 8, generator=torch.Generator().manual_seed(1))),
        (nets.DenseNet, torch.randn(20, 2, 8, 8, generator=torch.Generator().manual_seed(1))),
    ],
)
def test_other_architectures_are_repaired_to_their_targets(build, inputs):
    """A second repair of the repaired model has nothing left to do."""
    modules = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        modules.append(build().double().eval())
    inputs = inputs.double() if inputs.is_floating_point() else inputs
    program = capture(modules[0], inputs[:2])
    ends = [state(module) for module in modules]
    shop = Workshop(program, ends, (inputs,), repairs=["repair"], batch_size=ONE_BATCH)
    assert shop._channels is not None
    point = shop.at((0.5, 0.5))
    again = shop._channels.at((0.5, 0.5), point.params)
    for name, tensor in again.items():
        torch.testing.assert_close(tensor, point.params[name], rtol=1e-5, atol=1e-7)
