"""A merge in words and figures; what is missing or not a number is said, never drawn."""

from __future__ import annotations

import json

import pytest

from engine.figures.merge import (
    merge_figure,
    merge_headline,
    merge_proof,
    quantities,
    result_row,
    score_rows,
)


def row(kind, key, loss, title="net"):
    own = {"loss": loss, "accuracy": 0.98, "calibration_error": 0.0123}
    return {"key": key, "kind": kind, "title": title, "test": own, "train": own}


def summary(merged=0.08, kind="classification"):
    rows = [
        row("input", "input-01", 0.1),
        row("input", "input-02", 0.12, "a-network-with-a-name-of-many-letters.safetensors"),
        row("naive", "naive", 1.0, "naive average"),
        row("merged", "merged", merged, "merged"),
        row("ensemble", "ensemble", 0.07, "ensemble of the inputs"),
    ]
    mean = {"loss": 0.11, "accuracy": 0.98, "calibration_error": 0.0123}
    same = {"max_abs_logit_difference": 8e-6, "max_abs_logit": 4.0, "samples": 2000}
    return {
        "rows": rows,
        "mean": {"test": mean, "train": mean},
        "equivalence": same,
        "models": [{}, {}],
        "task": {"kind": kind},
    }


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (0.08, "test loss .080, below each of its inputs (their mean is .110)."),
        (0.105, "test loss .105, below the mean of its inputs, .110."),
        (0.2, "test loss .200, above the mean of its inputs, .110."),
        (None, "test loss not a number."),
    ],
)
def test_the_headline_says_what_was_reached(loss, words):
    assert merge_headline(summary(loss)) == f"2 networks merged into one: {words}"


def test_what_is_not_there_yet_is_said():
    assert merge_headline({"models": [{}, {}, {}]}) == "3 networks are being merged."
    assert merge_headline({}) == "The networks are being merged."
    assert merge_proof({}) == ""
    assert result_row({}) is None
    assert "no number to draw" in merge_figure({}).to_json()


def test_a_repaired_network_is_the_result():
    found = summary()
    found["rows"].insert(4, row("repaired", "repaired", 0.05, "merged, REPAIR"))
    assert result_row(found)["key"] == "repaired"
    assert "test loss .050" in merge_headline(found)


def test_the_proof_names_the_largest_difference():
    assert merge_proof(summary()).endswith("logit of any of them on 2000 test samples is 8·10⁻⁶.")


def test_the_table_has_every_network_and_both_splits():
    table = score_rows(summary(None))
    assert list(table[0]) == [
        "",
        *("test loss", "test accuracy", "test calibration error"),
        *("train loss", "train accuracy", "train calibration error"),
    ]
    assert (table[0]["test loss"], table[3]["test loss"]) == (".1000", "not a number")
    regression = summary(kind="regression")
    assert "test calibration error" not in score_rows(regression)[0]
    assert quantities(regression) == ["loss"]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("quantity", ["loss", "accuracy", "calibration_error"])
def test_every_network_has_a_mark_and_names_stay_short(theme, quantity):
    figure = merge_figure(summary(), theme=theme, quantity=quantity)
    names = [name for trace in figure.data for name in trace.y]
    assert len(names) == len(set(names)) == 5
    assert names[1] == "2  a-network-with-a-name-of-ma…"
    assert len({trace.marker.symbol for trace in figure.data}) == 4
    low, high = figure.layout.xaxis.range
    assert low < high
    mean, *numbers = json.loads(figure.to_json())["layout"]["annotations"]
    assert mean["text"] == "mean of the inputs"
    written = {number["y"]: number for number in numbers}
    assert set(written) == set(names)
    assert all(number["bgcolor"] for number in numbers)  # the line of the mean stays behind them
    values = {name: x for trace in figure.data for name, x in zip(trace.y, trace.x, strict=True)}
    for name, number in written.items():
        at = 10 ** number["x"] if quantity == "loss" else number["x"]
        assert at == pytest.approx(values[name])


def test_a_network_that_diverged_is_left_out_of_the_figure():
    names = [name for trace in merge_figure(summary(None)).data for name in trace.y]
    assert "merged" not in names
