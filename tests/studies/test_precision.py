"""A comparison in another precision: what it costs is measured and said, never silent."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.studies.compare import compare
from engine.studies.options import CompareOptions
from engine.studies.precision import POINTS
from tests.studies.test_compare import DATA, OPTIONS, checkpoint, network

PRECISION = "engine.landscape.plans.precision.has_bfloat16"


@pytest.fixture(scope="module")
def pair():
    return checkpoint(network(0), "a.safetensors"), checkpoint(network(1), "b.safetensors")


def compared(pair, precision):
    options = CompareOptions(**{**vars(OPTIONS), "precision": precision})
    return compare(*pair, options=options, data=DATA)


def test_exact_says_that_it_is_and_nothing_else(pair):
    found = compared(pair, "exact")
    assert found.summary["precision"] == {
        "kind": "exact",
        "loss_error": None,
        "points": 0,
        "sentence": None,
        "warning": None,
    }
    assert found.provenance["precision"] == "exact"


def test_fast_measures_its_error_at_the_models_their_midpoints_and_their_mean(pair, monkeypatch):
    monkeypatch.setattr(PRECISION, lambda device: False)
    slow, quick = compared(pair, "exact"), compared(pair, "fast")
    found = quick.summary["precision"]
    assert (found["kind"], found["points"]) == ("fast", len(POINTS))
    assert "no bfloat16 instructions" in found["warning"]
    assert quick.provenance["precision"] == "fast"
    assert quick.provenance["plan"].endswith("bfloat16 after the first layers")
    # Independent of the study: of the curves themselves, whose ends and middles are such points.
    off = [
        abs(quick.arrays[name][at] / slow.arrays[name][at] - 1)
        for name in ("curve_naive_test_loss", "curve_rebasin_test_loss", "curve_orbit_test_loss")
        for at in (0, 2, -1)
    ]
    assert 0 < max(off) < 1.000001 * found["loss_error"] < 0.05
    assert f"off by at most {100 * found['loss_error']:.2g} %" in found["sentence"]
    assert "after the first layers was computed in bfloat16; at A, B" in found["sentence"]
    # The corners of the plane equal the models in this precision.
    assert quick.summary["plane"]["corner_difference"] == 0


def test_tf32_is_exact_on_a_cpu_and_says_so(pair):
    slow, same = compared(pair, "exact"), compared(pair, "tf32")
    for name, values in slow.arrays.items():
        np.testing.assert_array_equal(same.arrays[name], values)
    assert same.summary["precision"]["loss_error"] == 0
    assert "Products were rounded as TF32 does" in same.summary["precision"]["sentence"]
    assert "here tf32 computes as exact does" in same.summary["precision"]["warning"]


@pytest.mark.parametrize(
    ("errors", "largest", "said"),
    [
        ([np.nan] * 7, None, "what that costs could not be measured"),
        ([np.inf] * 7, None, "at 7 of 7 points the test loss is no number in this precision"),
        ([0.02, 0.01, np.inf, np.inf, np.nan, 0.0, 0.0], 0.02, "at 2 of 7 points the test loss"),
        ([0.02] * 7, 0.02, "off by at most 2 %."),
    ],
)
def test_what_a_precision_loses_is_counted_and_the_rest_measured(
    pair, monkeypatch, errors, largest, said
):
    given = torch.tensor(errors, dtype=torch.float64)
    monkeypatch.setattr("engine.studies.precision.loss_errors", lambda *args, **named: given)
    found = compared(pair, "fast").summary["precision"]
    assert found["loss_error"] == largest
    assert said in found["sentence"]
    assert ("off by at most 2 %" in found["sentence"]) == (largest is not None)
