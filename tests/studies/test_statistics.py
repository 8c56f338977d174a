"""Comparisons whose points are reset or repaired: lines, plane, midpoint, and what it costs."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.landscape import evaluate_model
from engine.program import capture
from engine.repair import repair
from engine.studies.compare import compare
from engine.studies.options import CompareOptions
from engine.studies.reset import reset_data
from tests.models import MODELS
from tests.studies.test_compare import DATA, OPTIONS, checkpoint, dataset, network

MODEL = next(m for m in MODELS if m.name == "vgg-batchnorm")


def options(statistics):
    return CompareOptions(**{**vars(OPTIONS), "statistics": statistics})


@pytest.fixture(scope="module")
def perceptrons():
    return checkpoint(network(0), "a"), checkpoint(network(1), "b")


@pytest.fixture(scope="module")
def repaired(perceptrons):
    return compare(*perceptrons, options=options("repair"), data=DATA)


def test_curve_plane_and_midpoint_are_repaired(perceptrons, repaired):
    program = capture(network(0), torch.zeros(2, 12))
    inputs = reset_data(options("repair"), program, DATA["train"]).inputs
    models = (perceptrons[0].tensors, perceptrons[1].tensors, repaired.pi_b)

    def loss(*row):
        found = repair(program, models, row, inputs, repairs=["repair"])
        return evaluate_model(program, found.params, DATA["test"]).loss.item()

    arrays = repaired.arrays
    assert arrays["curve_naive_test_loss"][1] == pytest.approx(loss(0.75, 0.25, 0), rel=1e-4)
    assert arrays["curve_rebasin_test_loss"][2] == pytest.approx(loss(0.5, 0, 0.5), rel=1e-4)
    p, q = repaired.summary["plane"]["positions"]["pi_b"]
    third = arrays["plane_v"][2] / q
    second = arrays["plane_u"][3] - p * third
    expected = loss(1 - second - third, second, third)
    assert arrays["plane_test_loss"][2, 3] == pytest.approx(expected, rel=1e-4)
    middle = evaluate_model(program, repaired.midpoint, DATA["test"]).loss.item()
    assert middle == pytest.approx(arrays["curve_rebasin_test_loss"][2], rel=1e-5)


def test_models_stay_as_they_are(perceptrons, repaired):
    plain = compare(*perceptrons, options=options("interpolate"), data=DATA)
    assert repaired.summary["ends"] == plain.summary["ends"]
    assert repaired.summary["plane"]["corner_difference"] < 1e-6
    for name in ("curve_naive_test_loss", "curve_rebasin_test_loss"):
        np.testing.assert_allclose(repaired.arrays[name][[0, -1]], plain.arrays[name][[0, -1]])
        assert (repaired.arrays[name][1:-1] != plain.arrays[name][1:-1]).all()


def test_the_cost_is_said(repaired):
    found = repaired.summary["statistics"]
    assert (found["kind"], found["samples"], found["layers"]) == ("repair", 40, 2)
    assert found["share"] == pytest.approx(40 / 100)
    assert found["sentence"] == (
        "REPAIR rescales 2 layers at every point: one more forward pass over 40 training "
        "samples, 40% of what a point of the plane runs."
    )
    assert repaired.summary["batch_norm"] == {"layers": 0, "reset": False, "reset_samples": 0}


def test_a_reset_needs_batch_norm(perceptrons):
    found = compare(*perceptrons, options=options("reset"), data=DATA).summary["statistics"]
    assert (found["kind"], found["samples"], found["sentence"]) == ("interpolate", 0, None)


@pytest.mark.parametrize("statistics", ["reset", "repair"])
def test_batch_norm_is_reset_by_either(statistics):
    a, b = (checkpoint(MODEL.module(seed), f"{seed}") for seed in (0, 1))
    program = capture(MODEL.module(), MODEL.inputs(2))
    data = {split: dataset(split, MODEL.input_shape) for split in ("train", "test")}
    found = compare(a, b, options=options(statistics), data=data, program=program)
    assert found.summary["batch_norm"] == {"layers": 2, "reset": True, "reset_samples": 40}
    assert found.summary["statistics"]["kind"] == statistics
    middle = evaluate_model(program, found.midpoint, data["test"]).loss.item()
    assert middle == pytest.approx(found.summary["midpoints"]["rebasin"]["test"]["loss"], rel=1e-5)
    if statistics == "reset":
        text = found.summary["statistics"]["sentence"]
        assert text.startswith("The statistics of 2 BatchNorms are recomputed at every point")
