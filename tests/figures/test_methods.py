"""The plot and the tables of a comparison of methods."""

from __future__ import annotations

import numpy as np
import pytest

from engine.figures.methods import methods_figure
from engine.figures.methods_style import dashes, method_styles
from engine.figures.methods_tables import (
    definition_rows,
    ensemble_sentence,
    methods_headline,
    methods_rows,
    sorted_rows,
    starts,
)
from engine.figures.palette import DARK, LIGHT, MARKERS
from tests.figures.methods_synthetic import PROVENANCE, TITLES, synthetic_methods

ARRAYS, SUMMARY = synthetic_methods()


def lines(figure):
    return [t for t in figure.data if t.x is not None and len(t.x) == 25]


def test_each_line_is_its_own_row():
    figure = methods_figure(ARRAYS, SUMMARY, split="train")
    found = lines(figure)
    assert len(found) == len(SUMMARY["rows"])
    for trace, values in zip(found, ARRAYS["train_loss"], strict=True):
        assert np.array_equal(trace.y, values)
    assert "train loss" in found[0].text[3]


@pytest.mark.parametrize(("theme", "colours"), [("light", LIGHT), ("dark", DARK)])
def test_methods_have_colour_and_mark_and_repairs_a_dash(theme, colours):
    figure = methods_figure(ARRAYS, SUMMARY, theme=theme)
    styles = method_styles(SUMMARY["methods"], colours)
    for trace, row in zip(lines(figure), SUMMARY["rows"], strict=True):
        assert trace.line.color == styles[row["method"]].colour
        assert trace.line.dash == dashes(SUMMARY["repairs"]["variants"])[row["variant"]]
        assert trace.mode == ("lines" if row["method"] == "none" else "lines+markers")
    assert styles["none"].colour == colours.edges["orbit"]
    symbols = [style.symbol for style in styles.values()]
    assert len(set(symbols)) == len(symbols)
    assert not set(symbols) & {marker.symbol for marker in MARKERS.values()}


def test_the_legend_names_each_method_and_dash_once_and_the_ensemble():
    figure = methods_figure(ARRAYS, SUMMARY)
    named = [t.name for t in figure.data if t.showlegend is not False]
    assert named == [*TITLES.values(), "no repair", "REPAIR", "ensemble of A and B"]
    level = next(t for t in figure.data if t.name == "ensemble of A and B")
    assert list(level.y) == [0.08, 0.08]


def test_only_the_shown_repairs_are_drawn():
    figure = methods_figure(ARRAYS, SUMMARY, shown=["repair"])
    assert {t.line.dash for t in lines(figure)} == {"dash"}


def test_losses_are_logarithmic_when_asked_and_possible():
    axis = methods_figure(ARRAYS, SUMMARY).layout.yaxis
    assert axis.type == "log"
    assert list(axis.ticktext) == [".1", ".2", ".5", "1"]
    assert methods_figure(ARRAYS, SUMMARY, log=False).layout.yaxis.range[0] == 0
    zero = {**ARRAYS, "test_loss": ARRAYS["test_loss"] - ARRAYS["test_loss"].min()}
    assert methods_figure(zero, SUMMARY).layout.yaxis.range[0] == 0
    accuracy = methods_figure(ARRAYS, SUMMARY, quantity="accuracy").layout.yaxis
    assert accuracy.tickformat == ".0%"


def test_a_failed_method_is_left_out_and_nothing_at_all_says_so():
    arrays, summary = synthetic_methods(failed="weight")
    assert len(lines(methods_figure(arrays, summary))) == 4
    nothing = {name: np.full_like(values, np.nan) for name, values in arrays.items()}
    figure = methods_figure(nothing, summary)
    assert "No line could be evaluated" in figure.layout.annotations[0].text


def test_the_table_is_sorted_by_barrier_and_says_what_failed():
    arrays, summary = synthetic_methods(failed="activation")
    assert arrays["test_loss"].shape == (5, 25)
    rows = methods_rows(summary, PROVENANCE)
    assert [row["test barrier"] for row in rows] == [
        ".050 ± .010",
        ".300 ± .010",
        ".600 ± .010",
        "1.000 ± .010",
        "not possible",
    ]
    assert rows[0] == {
        "method": "◆ weight matching",
        "repair": "REPAIR",
        "test barrier": ".050 ± .010",
        "midpoint accuracy": "89.0\u202f%",
        "midpoint loss": ".150",
        "matching took": "1.5 s",
        "⟨A, π(B)⟩": "701",
        "starts": "2: 697.0 to 701.0",
        "note": "",
    }
    assert rows[-1]["note"] == "too large: 9 GiB"
    assert rows[2]["⟨A, π(B)⟩"] == "5"  # the identity's


def test_equal_permutations_are_named():
    _, summary = synthetic_methods()
    summary["methods"][2]["same_as"] = "weight"
    notes = {row["method"]: row["note"] for row in methods_rows(summary, PROVENANCE)}
    assert notes["✚ activation matching"] == "the same permutation as weight matching"


def test_definitions_are_all_there():
    rows = definition_rows(SUMMARY)
    assert rows[0]["test, Entezari"] == ".050"
    assert rows[0]["train, Frankle"] == "1.0\u202f%"


@pytest.mark.parametrize(
    ("heights", "sentence"),
    [
        ({"weight": (0.3, 0.05)}, "Lowest barrier with weight matching and REPAIR: 1.00 → .05"),
        (
            {"weight": (0.3, 0.001), "activation": (0.4, 0.3)},
            "Weight matching and REPAIR removes the barrier: 1.00 → .00",
        ),
        (
            {"weight": (0.0, 0.001), "activation": (0.0, 0.3)},
            "Both methods remove the barrier: 1.00 → .00",
        ),
        ({"weight": (1.2, 1.1)}, "No method lowers the barrier: 1.00 without matching, 1.10"),
    ],
)
def test_the_headline_says_what_works(heights, sentence):
    _, summary = synthetic_methods(heights={"none": (1.0, 0.6), **heights})
    assert methods_headline(summary).startswith(sentence)


def test_the_headline_without_a_barrier_or_without_a_method():
    _, summary = synthetic_methods(heights={"none": (0.0, 0.0), "weight": (0.0, 0.0)})
    assert methods_headline(summary).startswith("There is no barrier to begin with")
    _, summary = synthetic_methods(heights={"none": (1.0, 0.6), "weight": (0, 0)}, failed="weight")
    assert "No method could be evaluated" in methods_headline(summary)


def test_a_diverged_line_sorts_last_and_is_no_number():
    _, summary = synthetic_methods()
    summary["rows"][3]["barriers"]["test"]["git_rebasin"] = None
    assert sorted_rows(summary)[-1]["method"] == "weight"
    assert methods_rows(summary, PROVENANCE)[-1]["test barrier"] == "not a number"


def test_the_ensemble_in_words():
    assert "test loss .080, accuracy 97.0\u202f%, calibration error .012" in ensemble_sentence(
        SUMMARY
    )
    lost = {**SUMMARY, "ensemble": {"problem": "no labels"}}
    assert ensemble_sentence(lost).endswith("is not known: no labels")


def test_starts():
    assert starts({}) == "–"
    assert starts({"restarts": [3.0]}) == "1"
