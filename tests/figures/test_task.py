"""The words and numbers of each task, wherever a result is shown."""

from __future__ import annotations

import math

import numpy as np
import pytest

from engine.data.task import CLASSIFICATION, LANGUAGE, REGRESSION
from engine.figures import (
    barrier_rows,
    curves_figure,
    headline,
    model_rows,
    plane_figure,
    proof_sentence,
    removed_share,
    standalone_html,
    surface_figure,
)
from engine.figures.task import Words, words
from tests.figures.synthetic import synthetic_result


def texts(figure) -> str:
    """Everything that a figure says."""
    return str(figure.to_dict())


def test_results_stored_before_there_were_tasks_are_classifications():
    assert words(synthetic_result()[1]) == Words(CLASSIFICATION, 0.005)
    assert words({"task": {"kind": "of tomorrow"}}).task is CLASSIFICATION


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, ".000"),
        (0.00123, ".00123"),
        (-0.00123, "−.00123"),
        (0.5, ".500"),
        (12.345, "12.3"),
        (4321.0, "4·10³"),
        (2.5e-7, "2·10⁻⁷"),
        (None, "not a number"),
        (math.nan, "not a number"),
    ],
)
def test_losses_of_a_regression_have_significant_digits(value, text):
    assert Words(REGRESSION).loss(value) == text


def test_losses_in_nats_keep_their_places():
    for task in (CLASSIFICATION, LANGUAGE):
        assert Words(task).loss(0.00123) == ".001"


def test_a_language_model_has_tokens_right_and_a_perplexity():
    arrays, summary = synthetic_result(task="language", resolution=9)
    told = headline(summary)
    assert told.text.startswith("Permuting B removes")
    assert "Barrier in test loss (cross-entropy in nats per token): A to B" in told.detail
    assert "in any logit" in proof_sentence(summary)
    row = model_rows(summary)[0]
    assert row["test tokens right"].endswith("%")
    assert float(row["test perplexity"]) == pytest.approx(
        np.exp(summary["ends"]["a"]["test"]["loss"]), abs=1e-3
    )
    assert "test accuracy" not in row
    assert "Frankle" in {row["definition"] for row in barrier_rows(summary)}
    assert "tokens right 9" in texts(plane_figure(arrays, summary))
    figure = curves_figure(arrays, summary, quantity="accuracy")
    assert "tokens right: test solid" in texts(figure)
    page = standalone_html(arrays, summary)
    assert "The tokens right along the edges" in page
    assert "It is language" in page


def test_a_regression_has_no_right_answers():
    arrays, summary = synthetic_result(task="regression", resolution=9)
    assert "(mean squared error)" in headline(summary).detail
    assert "in any output" in proof_sentence(summary)
    row = model_rows(summary)[0]
    assert set(row) == {"network", "train loss", "train R²", "test loss", "test R²"}
    assert row["test R²"] == ".918"
    assert "Frankle" not in {row["definition"] for row in barrier_rows(summary)}
    for figure in (plane_figure(arrays, summary), surface_figure(arrays, summary)):
        assert "accuracy" not in texts(figure)
    page = standalone_html(arrays, summary)
    assert "accuracy along" not in page
    assert "Instability" not in page
    assert "not a number" not in str([*model_rows(summary), *barrier_rows(summary)])


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_the_scale_of_a_regressions_targets_does_not_change_the_verdict(scale):
    """Half a per cent of the targets' variance is what .005 nats are elsewhere."""
    plain = synthetic_result(task="regression")[1]
    scaled = synthetic_result(task="regression", scale=scale)[1]
    assert headline(scaled).tone == headline(plain).tone
    first = headline(scaled).text.split(":")[0]
    assert first == headline(plain).text.split(":")[0]
    assert removed_share(scaled) == pytest.approx(removed_share(plain))


def test_small_losses_of_a_regression_are_not_written_as_zero():
    arrays, summary = synthetic_result(task="regression", scale=1e-4, resolution=9)
    assert ".00 " not in headline(summary).text
    assert "loss <b>.00" not in texts(curves_figure(arrays, summary))
    assert np.isfinite(arrays["plane_test_loss"]).all()
