"""The three small curves."""

from __future__ import annotations

import numpy as np
import pytest

from engine.figures import curves_figure
from engine.figures.curves import value_range
from engine.figures.palette import LIGHT
from tests.figures.synthetic import synthetic_result

ARRAYS, SUMMARY = synthetic_result(resolution=5)


def test_each_panel_holds_its_own_curve():
    figure = curves_figure(ARRAYS, SUMMARY)
    tests = [trace for trace in figure.data if trace.name == "test"]
    for trace, name in zip(tests, ("naive", "rebasin", "orbit"), strict=True):
        assert np.array_equal(trace.y, ARRAYS[f"curve_{name}_test_loss"])
        assert trace.line.color == LIGHT.edges[name]
        assert trace.line.dash == "solid"
    trains = [trace for trace in figure.data if trace.name == "train"]
    assert [trace.line.dash for trace in trains] == ["4px,4px"] * 3


def test_panels_share_one_range():
    figure = curves_figure(ARRAYS, SUMMARY)
    ranges = {tuple(axis.range) for axis in figure.select_yaxes()}
    assert ranges == {value_range(ARRAYS, "loss")}
    assert value_range(ARRAYS, "loss")[1] > max(ARRAYS["curve_naive_test_loss"])


def test_the_band_is_one_standard_error():
    figure = curves_figure(ARRAYS, SUMMARY)
    band = next(trace for trace in figure.data if trace.name == "± one s.e.")
    loss, error = ARRAYS["curve_naive_test_loss"], ARRAYS["curve_naive_test_loss_se"]
    assert band.y[0] == pytest.approx(loss[0] + error[0])
    assert band.y[-1] == pytest.approx(loss[0] - error[0])


def test_barriers_are_written():
    texts = [note.text for note in curves_figure(ARRAYS, SUMMARY).layout.annotations]
    barrier = SUMMARY["barriers"]["naive"]["test"]["git_rebasin"]
    assert f"barrier {barrier:.2f}".replace(" 0.", " .") in texts
    assert "<b>B → π(B), the same function</b>" in texts


def test_accuracy_and_wide():
    figure = curves_figure(ARRAYS, SUMMARY, quantity="accuracy", wide=True, theme="dark")
    assert next(figure.select_yaxes()).tickformat == ".0%"
    assert not any("barrier" in note.text for note in figure.layout.annotations)


def test_gaps_stay_where_the_loss_diverged():
    loss = ARRAYS["curve_naive_test_loss"].copy()
    loss[5] = np.nan
    figure = curves_figure({**ARRAYS, "curve_naive_test_loss": loss}, SUMMARY)
    trace = next(trace for trace in figure.data if trace.name == "test")
    assert np.isnan(trace.y[5])
    assert "diverged" in trace.text[5]


def test_before_the_curves_are_computed():
    assert "not computed" in curves_figure({}, {}).layout.annotations[0].text
