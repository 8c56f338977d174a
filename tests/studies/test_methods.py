"""Methods and repairs on tiny pairs, against permutations and lines computed separately."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from engine.checkpoints import Checkpoint, fingerprint
from engine.errors import CancelledError, MatchingError, SpecError
from engine.families import build_program, recognise
from engine.landscape import line
from engine.matching import match_activations, match_weights
from engine.repair import repaired_line
from engine.studies import methods_alignment
from engine.studies.compare import compare
from engine.studies.methods import compare_methods
from engine.studies.methods_lines import Seen
from engine.studies.methods_options import MethodChoice, MethodsOptions, variants
from engine.studies.methods_trial import attempt
from engine.studies.options import CompareOptions
from engine.studies.tiles import MemoryTiles
from engine.symmetry import Permutation, derive_symmetry
from tests.studies.test_compare import DATA, StopAfter, checkpoint, loss_of, network

MIXED = MethodChoice("activation", {"mixture": 0.5})
OPTIONS = MethodsOptions(
    methods=(MethodChoice("weight", {"restarts": 3}), MIXED),
    repairs=("temperature", "repair"),
    line_points=5,
    repair_samples=40,
    seed=2,
)


@pytest.fixture(scope="module")
def pair():
    return checkpoint(network(0), "a.safetensors"), checkpoint(network(1), "b.safetensors")


@pytest.fixture(scope="module")
def program(pair):
    return build_program(recognise(pair[0].tensors))


@pytest.fixture(scope="module")
def tiles():
    return MemoryTiles()


@pytest.fixture(scope="module")
def result(pair, tiles):
    return compare_methods(*pair, options=OPTIONS, data=DATA, tiles=tiles)


@pytest.fixture(scope="module")
def matched(pair, program):
    """Each method's permutation and π(B), found without the study."""
    symmetry = derive_symmetry(program)
    a, b = (model.tensors for model in pair)
    found = {
        "none": symmetry.identity(),
        "weight": match_weights(program, symmetry, a, b, seed=2, restarts=3).permutation,
        "activation": match_activations(
            program, symmetry, a, b, DATA["train"].inputs, mixture=0.5, seed=2
        ).permutation,
    }
    return {name: (p, symmetry.apply(p, b)) for name, p in found.items()}


def row_of(result, method: str, variant: str) -> int:
    names = [(row["method"], row["variant"]) for row in result.summary["rows"]]
    return names.index((method, variant))


def test_every_method_finds_what_it_finds_alone(result, matched):
    assert set(result.permutations) == {"weight", "activation"}
    for name, permutation in result.permutations.items():
        assert permutation == matched[name][0]


def test_plain_lines_equal_dense_loops(pair, result, matched):
    for name, (_, pi_b) in matched.items():
        index = row_of(result, name, "plain")
        for split in ("train", "test"):
            for place, lam in enumerate(result.arrays["lambdas"]):
                expected = loss_of((pair[0].tensors, pi_b), (1 - lam, lam), DATA[split])
                got = result.arrays[f"{split}_loss"][index, place]
                assert got == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("variant", ["repair", "temperature", "repair+temperature"])
def test_repaired_lines_equal_those_computed_separately(pair, program, result, matched, variant):
    seen = Seen.draw(DATA["train"], 40, 0)
    for name, (_, pi_b) in matched.items():
        index = row_of(result, name, variant)
        for split in ("train", "test"):
            expected = repaired_line(
                program,
                (pair[0].tensors, pi_b),
                line(5)[:, 1].tolist(),
                DATA[split],
                seen.inputs,
                repairs=variant.split("+"),
                targets=seen.targets,
            )
            got = result.arrays[f"{split}_loss"][index]
            np.testing.assert_allclose(got, expected.loss.numpy(), rtol=1e-9)
            np.testing.assert_array_equal(
                result.arrays[f"{split}_accuracy"][index], expected.accuracy.numpy()
            )


def test_the_line_as_it_is_equals_that_of_a_comparison(pair, result):
    options = CompareOptions(line_points=5, plane_points=0)
    compared = compare(*pair, options=options, data=DATA)
    index = row_of(result, "none", "plain")
    for split in ("train", "test"):
        for quantity in ("loss", "loss_se", "accuracy", "accuracy_se"):
            expected = compared.arrays[f"curve_naive_{split}_{quantity}"]
            np.testing.assert_array_equal(result.arrays[f"{split}_{quantity}"][index], expected)
    barriers = result.summary["rows"][index]["barriers"]
    assert barriers == compared.summary["barriers"]["naive"]


def test_the_ensemble_averages_probabilities(pair, result):
    inputs, targets = DATA["test"].inputs.double(), DATA["test"].targets
    mean = torch.zeros(len(targets), 4, dtype=torch.float64)
    for model in pair:
        module = network(0).double()
        module.load_state_dict({n: t.double() for n, t in model.tensors.items()})
        mean += module(inputs).softmax(1).detach() / 2
    found = result.summary["ensemble"]["test"]
    assert found["loss"] == pytest.approx(F.nll_loss(mean.log(), targets).item(), rel=1e-5)
    assert found["accuracy"] == pytest.approx((mean.argmax(1) == targets).double().mean().item())


def test_summary_and_files(result, tmp_path):
    weight, activation = result.summary["methods"][1:]
    assert len(weight["matching"]["restarts"]) == 3
    assert weight["title"] == "weight matching (restarts 3)"
    assert activation["details"]["mixture"] == 0.5
    for method in (weight, activation):
        assert method["equivalence"]["max_abs_logit_difference"] < 1e-5
        assert method["matching"]["objective"] > method["matching"]["objective_identity"]
        assert result.provenance["methods"][method["id"]]["match"] > 0
    names = [v["id"] for v in result.summary["repairs"]["variants"]]
    assert names == ["plain", "repair", "temperature", "repair+temperature"]
    assert result.arrays["test_loss"].shape == (12, 5)
    result.save(tmp_path)
    stored = np.load(tmp_path / "result.npz", allow_pickle=False)
    assert json.loads(str(stored["summary"])) == result.summary
    found = Permutation.load(tmp_path / "permutation-activation.safetensors")
    assert found == result.permutations["activation"]


def same_numbers(one, other) -> None:
    assert one.summary == other.summary
    for name, values in one.arrays.items():
        np.testing.assert_array_equal(values, other.arrays[name])


@pytest.mark.parametrize("finished", [1, 4, 12])
def test_a_resumed_run_is_identical_bit_for_bit(pair, result, finished):
    broken = StopAfter(finished)
    with pytest.raises(CancelledError):
        compare_methods(*pair, options=OPTIONS, data=DATA, tiles=broken, should_stop=broken.stop)
    same_numbers(compare_methods(*pair, options=OPTIONS, data=DATA, tiles=broken.cache), result)


def test_nothing_is_computed_twice(pair, result, tiles, monkeypatch):
    def fail(*_, **__):
        raise AssertionError("computed again")

    monkeypatch.setattr(methods_alignment, "run_method", fail)
    monkeypatch.setattr("engine.studies.methods_lines.evaluate", fail)
    monkeypatch.setattr("engine.studies.methods_lines.Workshop", fail)
    monkeypatch.setattr("engine.studies.methods.ensemble", fail)
    again = compare_methods(*pair, options=OPTIONS, data=DATA, tiles=tiles)
    same_numbers(again, result)
    assert again.provenance["methods"]["weight"]["match"] > 0


@pytest.mark.parametrize("foreign", [{"other": np.zeros(3)}, {"group 0": np.zeros(8)}])
def test_foreign_tiles_are_computed_again(pair, result, foreign):
    cache = MemoryTiles()
    compare_methods(*pair, options=OPTIONS, data=DATA, tiles=cache)
    for key in (f"match-{MIXED.digest}", "ensemble-test"):
        assert cache.get(key) is not None
        cache.put(key, foreign)
    same_numbers(compare_methods(*pair, options=OPTIONS, data=DATA, tiles=cache), result)


def test_cancelling_a_matching_is_no_failure_of_its_method(pair):
    calls = iter([False] * 40 + [True] * 1000)
    options = MethodsOptions(methods=("ste",), line_points=3)
    with pytest.raises(CancelledError):
        compare_methods(*pair, options=options, data=DATA, should_stop=lambda: next(calls))


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (MatchingError("it is too large for this"), "it is too large for this"),
        (MemoryError(), "Memory ran out"),
        (RuntimeError("boom"), "failed unexpectedly: RuntimeError: boom"),
    ],
)
def test_one_method_that_fails_leaves_the_others(pair, monkeypatch, error, sentence):
    real = methods_alignment.run_method

    def run(key, *rest, **more):
        if key == "weight":
            raise error
        return real(key, *rest, **more)

    monkeypatch.setattr(methods_alignment, "run_method", run)
    events: list = []
    options = MethodsOptions(methods=("weight", "activation"), repairs=("repair",), line_points=3)
    found = compare_methods(*pair, options=options, data=DATA, progress=events.append)
    rows = found.summary["rows"]
    assert [(row["method"], row["variant"]) for row in rows if row["problem"]] == [
        ("weight", "plain")
    ]
    assert sentence in next(row["problem"] for row in rows if row["problem"])
    assert np.isnan(found.arrays["test_loss"][row_of(found, "weight", "plain")]).all()
    assert np.isfinite(found.arrays["test_loss"][row_of(found, "activation", "repair")]).all()
    assert set(found.permutations) == {"activation"}
    ends = {e["method"]: e["state"] for e in events if e["kind"] == "method"}
    assert ends == {"none": "done", "weight": "failed", "activation": "done"}


def test_what_a_method_cannot_do_is_said_before_it_starts(pair, monkeypatch):
    monkeypatch.setattr(methods_alignment, "obstacle", lambda *_: "it needs samples with labels")
    monkeypatch.setattr(methods_alignment, "run_method", None)
    options = MethodsOptions(methods=("weight",), line_points=3)
    found = compare_methods(*pair, options=options, data=DATA)
    assert found.summary["methods"][1]["problem"] == "it needs samples with labels"


def test_a_repair_that_cannot_apply_is_left_out_with_its_reason(pair):
    options = MethodsOptions(methods=("weight",), repairs=("reset", "repair"), line_points=3)
    found = compare_methods(*pair, options=options, data=DATA)
    repairs = found.summary["repairs"]
    assert "no BatchNorm" in repairs["impossible"]["reset"]
    assert [v["id"] for v in repairs["variants"]] == ["plain", "repair"]


def test_methods_that_agree_share_their_lines(pair):
    symmetry = derive_symmetry(build_program(recognise(pair[0].tensors)))
    planted = symmetry.random(torch.Generator().manual_seed(3))
    tensors = symmetry.apply(planted, pair[0].tensors)
    b = Checkpoint(tensors, fingerprint(tensors), "b", "safetensors")
    cache = MemoryTiles()
    again = MethodChoice("weight", {"restarts": 2})
    options = MethodsOptions(methods=(MethodChoice("weight"), again), line_points=3)
    found = compare_methods(pair[0], b, options=options, data=DATA, tiles=cache)
    assert [m["same_as"] for m in found.summary["methods"]] == [None, None, "weight"]
    index = [row_of(found, name, "plain") for name in ("weight", "weight-2")]
    losses = found.arrays["test_loss"][index]
    assert np.ptp(losses) < 1e-6
    kept = [key for key in cache._tiles if key.startswith("line-")]
    assert len(kept) == 4  # two lines on two splits


def test_events_rise_to_the_end(pair, result):
    events: list = []
    compare_methods(*pair, options=OPTIONS, data=DATA, progress=events.append)
    fractions = [event["fraction"] for event in events if event["kind"] == "stage"]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    partial: dict = {}
    for event in events:
        partial |= event["summary"] if event["kind"] == "partial" else {}
    assert partial["rows"] == result.summary["rows"]
    assert [m["id"] for m in partial["asked"]] == ["none", "weight", "activation"]


@pytest.mark.parametrize(
    ("choices", "error", "sentence"),
    [
        ({"methods": ()}, SpecError, "no method was chosen"),
        ({"methods": ("weight", "weight")}, SpecError, "weight matching was asked for twice"),
        ({"methods": ("magic",)}, MatchingError, "there is no matching method 'magic'"),
        ({"methods": ("weight",), "repairs": ("glue",)}, SpecError, "no repair 'glue'"),
        ({"methods": ("weight",), "repair_samples": 1}, SpecError, "at least 2 samples, not 1"),
        ({"methods": ("weight",), "line_points": 4}, SpecError, "odd number"),
    ],
)
def test_options_that_make_no_sense_are_refused(choices, error, sentence):
    with pytest.raises(error, match=sentence):
        MethodsOptions(**choices)


def test_a_method_may_come_again_with_other_options():
    options = MethodsOptions(methods=(MethodChoice("activation"), MIXED))
    assert list(options.choices) == ["activation", "activation-2"]
    assert options.choices["activation-2"].title == "activation matching (mixture 0.5)"


def test_variants_are_none_each_and_all():
    assert variants(()) == {"plain": ()}
    assert variants(("reset",)) == {"plain": (), "reset": ("reset",)}
    assert list(variants(("reset", "repair"))) == ["plain", "reset", "repair", "reset+repair"]


def test_an_attempt_lets_cancelling_through():
    def cancelled():
        raise CancelledError("stop")

    with pytest.raises(CancelledError, match="stop"):
        attempt(cancelled)
