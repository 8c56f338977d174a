"""Tables, the per-layer and the matching figure."""

from __future__ import annotations

import pytest

from engine.figures import (
    DEFINITIONS,
    barrier_rows,
    layer_rows,
    layers_figure,
    matching_figure,
    model_rows,
    objective_figure,
)
from tests.figures.synthetic import synthetic_result

_, SUMMARY = synthetic_result(resolution=5)


def test_barrier_rows_hold_every_definition_on_both_splits():
    rows = barrier_rows(SUMMARY)
    assert len(rows) == 2 * len(DEFINITIONS)
    first = rows[1]
    test = SUMMARY["barriers"]["naive"]["test"]
    assert first["definition"] == "Git Re-Basin"
    assert first["split"] == "test"
    assert first["A → B"] == f"{test['git_rebasin']:.3f} ± {test['git_rebasin_se']:.3f}".replace(
        "0.", "."
    )


def test_barrier_rows_of_a_diverged_run():
    barriers = {"naive": {"test": dict.fromkeys(("git_rebasin", "frankle"))}}
    rows = barrier_rows({"barriers": barriers})
    assert rows[1]["A → B"] == "not a number"
    assert rows[1]["A → π(B)"] == "–"


def test_model_rows():
    rows = model_rows(SUMMARY)
    assert [row["network"] for row in rows][:3] == ["A", "B", "π(B)"]
    accuracy = SUMMARY["ends"]["a"]["test"]["accuracy"]
    assert rows[0]["test accuracy"] == f"{100 * accuracy:.1f}\u202f%"


def test_layer_rows():
    rows = layer_rows(SUMMARY)
    assert rows[0]["shape"] == "512 × 784"
    assert rows[0]["moved"] == pytest.approx(0.998)
    assert layer_rows({}) == []


def test_layers_figure_shows_before_and_after_with_two_shapes():
    figure = layers_figure(SUMMARY)
    before = next(trace for trace in figure.data if trace.name == "A and B")
    after = next(trace for trace in figure.data if trace.name == "A and π(B)")
    assert list(before.x) == [layer["cosine_before"] for layer in SUMMARY["layers"]]
    assert list(after.x) == [layer["cosine_after"] for layer in SUMMARY["layers"]]
    assert before.marker.symbol != after.marker.symbol
    assert "no per-layer" in layers_figure({}).layout.annotations[0].text


def test_matching_figure():
    figure = matching_figure(SUMMARY)
    assert list(figure.data[0].y) == SUMMARY["matching"]["trace"]
    assert list(figure.data[1].y) == SUMMARY["matching"]["restarts"]
    assert len(matching_figure({"matching": {"trace": [1.0], "restarts": [1.0]}}).data) == 1


def test_objective_before_the_first_sweep():
    assert "first sweep" in objective_figure([]).layout.annotations[0].text.replace("<br>", " ")
