"""`repair` and `repaired_line`: combinations, ends, precisions, wrong input."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from engine.errors import CancelledError, LandscapeError, ProgramError, RepairError
from engine.landscape import ResetData, Span, evaluate, evaluate_model, reset_statistics
from engine.repair import REPAIRS, Workshop, obstacle, repair, repaired_line
from tests.landscape.oracle import Data, setting
from tests.models import MODELS

BY_NAME = {model.name: model for model in MODELS}
ALL = tuple(REPAIRS)


def merged(name: str, keys, weights=(0.4, 0.6), **options):
    program, ends, data = setting(BY_NAME[name], 24, len(weights))
    given = {"targets": data.targets, **options}
    return (
        program,
        ends,
        data,
        repair(program, ends, weights, (data.inputs,), repairs=keys, **given),
    )


@pytest.mark.parametrize("name", ["mlp", "resnet-b"])
def test_no_repair_is_the_plain_average(name):
    program, ends, _, got = merged(name, ())
    assert got.params.keys() == program.parameters.keys()
    for key, tensor in got.params.items():
        torch.testing.assert_close(tensor, 0.4 * ends[0][key] + 0.6 * ends[1][key])
    assert got.notes == () and got.folded and got.temperature == 1 and got.seconds >= 0


def test_reset_alone_is_the_reset_of_the_landscape_bit_for_bit():
    program, _, data, got = merged("resnet-b", ["reset"], batch_size=7)
    plain = merged("resnet-b", ())[-1].params
    expected = reset_statistics(program, plain, (data.inputs,), batch_size=7)
    assert expected and all(torch.equal(got.params[name], t) for name, t in expected.items())
    rest = got.params.keys() - expected.keys()
    assert all(torch.equal(got.params[name], plain[name]) for name in rest)


@pytest.mark.parametrize("name", ["mlp-layernorm", "vgg-batchnorm"])
def test_the_order_in_which_repairs_are_named_does_not_matter(name):
    keys = [key for key in ALL if obstacle(key, merged(name, ())[0]) is None]
    results = [
        merged(name, order)[-1] for order in itertools.islice(itertools.permutations(keys), 5)
    ]
    for other in results[1:]:
        assert other.temperature == results[0].temperature
        assert all(torch.equal(t, results[0].params[n]) for n, t in other.params.items())


def test_repair_does_what_rescale_does_and_more():
    both, one = (merged("mlp", keys)[-1].params for keys in (["rescale", "repair"], ["repair"]))
    assert all(torch.equal(both[name], tensor) for name, tensor in one.items())


@pytest.mark.parametrize("name", ["mlp", "vgg-layernorm", "resnet-a"])
@pytest.mark.parametrize("key", ["repair", "rescale"])
@pytest.mark.parametrize("end", [0, 1])
def test_an_end_is_left_as_it_is(name, key, end):
    weights = (1.0 - end, float(end))
    program, ends, _, got = merged(name, [key], weights)
    assert all(torch.equal(got.params[n], ends[end][n]) for n in program.parameters)


def test_three_models_are_repaired_as_two_are():
    """A model merged with itself is itself, however it is shared out."""
    program, ends, data = setting(BY_NAME["vgg"], 24, 2)
    two = repair(program, ends, (0.5, 0.5), (data.inputs,), repairs=["repair"])
    three = repair(
        program, [ends[0], ends[1], ends[0]], (0.2, 0.5, 0.3), (data.inputs,), repairs=["repair"]
    )
    for name, tensor in two.params.items():
        torch.testing.assert_close(three.params[name], tensor, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_a_checkpoint_keeps_its_precision(dtype):
    program, ends, data = setting(BY_NAME["vgg-batchnorm"], 24, 2)
    stored = [
        {n: t.to(dtype) if t.is_floating_point() else t for n, t in end.items()} for end in ends
    ]
    got = repair(program, stored, (0.5, 0.5), (data.inputs,), repairs=ALL, targets=data.targets)
    assert {tensor.dtype for tensor in got.params.values()} == {dtype}
    wide = repair(program, ends, (0.5, 0.5), (data.inputs,), repairs=ALL, targets=data.targets)
    found, exact = (evaluate_model(program, r.params, data).loss for r in (got, wide))
    assert float(found) == pytest.approx(float(exact), rel=0.05)


def test_numbers_that_do_not_fit_are_named():
    program, ends, data = setting(BY_NAME["vgg-batchnorm"], 24, 2)
    for end in ends:
        end["0.weight"] *= 3e3
    half = [{n: t.half() if t.is_floating_point() else t for n, t in end.items()} for end in ends]
    with pytest.raises(RepairError, match=r"1\.running_var holds numbers too large for torch.fl"):
        repair(program, half, (0.5, 0.5), (data.inputs,), repairs=["reset"])


def test_what_is_repaired_can_be_trained_further():
    program, _, data, got = merged("vgg-batchnorm", ALL)
    got.params["0.weight"].requires_grad_()
    program(got.params, data.inputs).sum().backward()
    assert got.params["0.weight"].grad is not None


def test_nothing_given_is_written_to():
    program, ends, data = setting(BY_NAME["resnet-b"], 24, 2)
    before = [{name: tensor.clone() for name, tensor in end.items()} for end in ends]
    repair(program, ends, (0.5, 0.5), (data.inputs,), repairs=ALL, targets=data.targets)
    for end, kept in zip(ends, before, strict=True):
        assert all(torch.equal(end[name], tensor) for name, tensor in kept.items())


def test_layers_without_bias_are_counted():
    notes = merged("resnet-3x3", ["repair"])[-1].notes
    assert notes == ("8 of 16 layers have no bias and are scaled without being shifted.",)
    assert merged("resnet-3x3", ["rescale"])[-1].notes == ()


def test_wrong_input_is_refused():
    program, ends, data = setting(BY_NAME["mlp"], 24, 2)
    half = (0.5, 0.5)

    def call(*, ends=ends, weights=half, inputs=(data.inputs,), repairs=("repair",), **options):
        repair(program, ends, weights, inputs, repairs=repairs, **options)

    with pytest.raises(RepairError, match="BatchNorm with running statistics, so there is nothing"):
        call(repairs=["reset"])
    with pytest.raises(RepairError, match="There is no repair 'fix'"):
        call(repairs=["fix"])
    with pytest.raises(RepairError, match="The model takes 1 inputs; 2 were given"):
        call(inputs=(data.inputs, data.inputs))
    with pytest.raises(RepairError, match="one label each; there are 24, 23"):
        call(targets=data.targets[:23])
    with pytest.raises(RepairError, match="A batch needs at least 1 sample; 0 was asked"):
        call(batch_size=0)
    with pytest.raises(RepairError, match="at least 2 training inputs; 1 was given"):
        call(inputs=(data.inputs[:1],))
    with pytest.raises(LandscapeError, match="do not sum to 1"):
        call(weights=(0.5, 0.6))
    with pytest.raises(LandscapeError, match="do not fit 2 models"):
        call(weights=(0.5, 0.3, 0.2))
    with pytest.raises(LandscapeError, match="at least one model"):
        call(ends=[], weights=())
    with pytest.raises(ProgramError, match="parameters have the wrong shape"):
        call(ends=[ends[0], ends[1] | {"1.weight": torch.zeros(2, 2)}])
    with pytest.raises(ProgramError, match="input"):
        call(inputs=(torch.zeros(5, 7),))
    with pytest.raises(RepairError, match="model 1 has values after linear that are NaN"):
        call(inputs=(data.inputs * math.nan,))


# --- the line -------------------------------------------------------------------------------


def test_a_line_of_resets_is_that_of_the_evaluator():
    program, ends, data = setting(BY_NAME["resnet-b"], 24, 2)
    places = torch.linspace(0, 1, 5, dtype=torch.float64)
    expected = evaluate(
        program,
        Span(("a", "b"), tuple(program.named(end) for end in ends)),
        torch.stack((1 - places, places), 1),
        data,
        reset=ResetData(data.inputs, 9),
    )
    seen = []
    found = repaired_line(
        program,
        ends,
        places.tolist(),
        data,
        (data.inputs,),
        repairs=["reset"],
        batch_size=9,
        progress=seen.append,
    )
    torch.testing.assert_close(found.loss, expected.loss, rtol=1e-6, atol=0)
    assert seen == [1, 2, 3, 4, 5]


def test_each_point_of_a_line_is_what_repair_gives():
    program, ends, data = setting(BY_NAME["vgg-batchnorm"], 24, 2)
    found = repaired_line(
        program, ends, [0.0, 0.3, 1.0], data, (data.inputs,), repairs=ALL, targets=data.targets
    )
    for place, loss in zip((0.0, 0.3, 1.0), found.loss.tolist(), strict=True):
        point = repair(
            program,
            ends,
            (1 - place, place),
            (data.inputs,),
            repairs=ALL,
            targets=data.targets,
        )
        assert float(evaluate_model(program, point.params, data).loss) == pytest.approx(loss)


def test_a_diverging_point_stays_nan():
    program, ends, data = setting(BY_NAME["mlp"], 24, 2)
    ends[1] = {name: tensor * 1e20 for name, tensor in ends[1].items()}
    found = repaired_line(program, ends, [0.0, 0.5], data, (data.inputs,), repairs=())
    assert found.loss[0].isfinite() and not found.loss[1].isfinite()


def test_a_line_can_be_cancelled_between_batches():
    program, ends, data = setting(BY_NAME["mlp"], 24, 2)
    calls = []

    def check() -> None:
        calls.append(1)
        if len(calls) == 5:
            raise CancelledError("stop")

    with pytest.raises(CancelledError, match="stop"):
        repaired_line(
            program,
            ends,
            [0.5],
            data,
            (data.inputs,),
            repairs=["repair"],
            batch_size=8,
            check=check,
        )
    assert len(calls) == 5


def test_a_workshop_is_used_for_many_points():
    program, ends, data = setting(BY_NAME["mlp"], 24, 2)
    shop = Workshop(program, ends, (data.inputs,), repairs=["repair"])
    first = shop.at((0.5, 0.5)).params
    shop.at((0.2, 0.8))
    assert all(torch.equal(shop.at((0.5, 0.5)).params[n], t) for n, t in first.items())


def test_data_of_several_inputs_is_moved_once():
    program, ends, data = setting(BY_NAME["mlp"], 24, 2)
    several = Data((data.inputs,), data.targets)
    one, other = (
        repaired_line(program, ends, [0.5], d, (data.inputs,), repairs=["rescale"])
        for d in (data, several)
    )
    assert torch.equal(one.loss, other.loss)


def test_a_temperature_fitted_on_what_is_known_by_heart_is_called_doubtful():
    program, _, data, plain = merged("mlp", ())
    known = program(plain.params, data.inputs).argmax(1)
    got = merged("mlp", ["temperature"], targets=known)[-1]
    assert got.notes == (
        "The merged model has 100.0 % of the training samples right: a temperature fitted on what "
        "a model knows by heart can make it too sure of everything else. Compare the test loss "
        "with and without it.",
    )
    one_wrong = known.clone()
    one_wrong[:3] = (known[:3] + 1) % 3
    assert merged("mlp", ["temperature"], targets=one_wrong)[-1].notes == ()
