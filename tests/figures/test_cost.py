"""The estimate of a run's time."""

from __future__ import annotations

import pytest

from engine.figures.cost import estimated_seconds, forward_passes
from tests.figures.synthetic import synthetic_result

_, SUMMARY = synthetic_result(resolution=25)
TITLE = SUMMARY["model"]["title"]
PROVENANCE = {"seconds": {"match": 2.0, "evaluate": 40.0}}


def test_the_same_run_takes_the_same_time():
    same = forward_passes(25, 25, 2000, 2000)
    assert estimated_seconds(SUMMARY, PROVENANCE, same, TITLE) == pytest.approx(42.0)


def test_four_times_the_samples_take_four_times_the_evaluation():
    more = forward_passes(25, 25, 8000, 8000)
    assert estimated_seconds(SUMMARY, PROVENANCE, more, TITLE) == pytest.approx(162.0)


def test_no_estimate_without_a_measured_run_of_the_model():
    assert estimated_seconds(SUMMARY, PROVENANCE, 1, "VGG16") is None
    assert estimated_seconds(SUMMARY, {}, 1, TITLE) is None
    assert estimated_seconds({}, PROVENANCE, 1, TITLE) is None
