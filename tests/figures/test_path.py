"""A path in words, tables and figures; what is missing or not a number is said, never drawn."""

from __future__ import annotations

import json

import numpy as np
import pytest

from engine.figures.palette import MARKERS
from engine.figures.path import (
    barrier_table,
    checks_sentence,
    model_table,
    path_detail,
    path_headline,
    path_proof,
)
from engine.figures.path_curves import path_figure, smoothed, training_figure
from engine.figures.path_plane import CONTROL, CURVE, path_plane_figure
from tests.figures.path_synthetic import barrier, path_result

BOTH = path_result(("b", "pi_b"))


def summary_with(line, curve, **more):
    _, summary = path_result(**more)
    for name, height in (("line", line), ("path", curve)):
        summary["paths"]["b"]["barriers"][name]["test"] = barrier(height)
    return summary


@pytest.mark.parametrize(
    ("line", "curve", "words"),
    [
        (0.9, 0.01, "A curve joins A and B where the straight line has a barrier: .90 → .01"),
        (0.9, 0.45, "The curve from A to B avoids 50\u202f% of the barrier: .90 → .45"),
        (0.9, 0.95, "The curve from A to B does not avoid the barrier: .90 → .95"),
        (0.01, 0.0, "There is no barrier between A and B to begin with: .01 → .00"),
        (None, 0.0, "The loss diverges on the straight line from A to B"),
        (0.9, None, "The loss diverges on the curve from A to B"),
    ],
)
def test_the_headline_says_what_the_curve_does(line, curve, words):
    assert path_headline(summary_with(line, curve)) == words


def test_both_ends_are_in_one_headline_and_divergence_is_said():
    assert path_headline(BOTH[1]) == (
        "A curve joins A and B where the straight line has a barrier: .90 → .00; a curve joins A "
        "and π(B) where the straight line has a barrier: .20 → .00"
    )
    wild = summary_with(0.9, None, diverged="The training diverged in step 3 of 9.")
    assert path_headline(wild) == "The training of the curve from A to B diverged"
    assert path_proof(wild) == "The training diverged in step 3 of 9."
    assert path_proof(BOTH[1]) is None
    assert path_headline({}) == "A curve between the two networks is being trained"


def test_the_detail_says_how_it_was_trained():
    assert path_detail(BOTH[1]) == (
        "Bézier curve of one bend; Adam at 0.001, 20 epochs of 2\u202f000 training samples in "
        "batches of 100, 400 steps, seed 0."
    )
    decayed = {**BOTH[1], "training": {**BOTH[1]["training"], "weight_decay": 5e-4, "bends": 2}}
    assert "of 2 bends; Adam at 0.001, weight decay 0.0005 of the point" in path_detail(decayed)
    assert path_detail({}) == ""


def test_the_tables_have_every_way_and_every_network_once():
    ways = barrier_table(BOTH[1])
    assert [row["way"] for row in ways] == [
        *("straight line A → B", "curve A → B"),
        *("straight line A → π(B)", "curve A → π(B)"),
    ]
    assert ways[0]["test barrier"] == ".900 ± .010"
    assert [row["length"] for row in ways[:2]] == ["76.4", "77.8"]
    networks = model_table(path_result(("b", "pi_b"), bends=2)[1])
    assert [row["network"] for row in networks] == [
        *("A", "bend 1 to B", "bend 2 to B", "B"),
        *("bend 1 to π(B)", "bend 2 to π(B)", "π(B)"),
    ]
    assert [row["distance from the line"] for row in networks[:2]] == ["–", "12.6"]


def test_the_checks_say_what_the_plane_is():
    one = checks_sentence(BOTH[1]["paths"]["b"])
    assert "through A, B and the bend; the whole curve lies in it." in one
    assert "orthonormal to 1·10⁻¹⁶, corners equal their networks to 0, unit 76.4" in one
    several = checks_sentence(path_result(bends=3)[1]["paths"]["b"])
    assert "bend 1, the furthest from the line; the curve drawn is its projection" in several
    assert "up to 0.02 of the ends' distance" in several
    assert checks_sentence({"plane": {"problem": "No plane."}}) == "No plane."
    assert checks_sentence({}) == ""


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("quantity", ["loss", "accuracy"])
def test_every_way_is_drawn_and_named(theme, quantity):
    figure = path_figure(*BOTH, theme=theme, quantity=quantity)
    shown = [trace.name for trace in figure.data if trace.showlegend]
    assert shown == [row["way"] for row in barrier_table(BOTH[1])]
    drawn = next(trace for trace in figure.data if trace.name == "curve A → B")
    np.testing.assert_array_equal(drawn.y, BOTH[0][f"path_b_test_{quantity}"])
    colours = {trace.line.color for trace in figure.data if trace.showlegend}
    assert len(colours) == 4
    assert figure.layout.xaxis.ticktext[-1] == "B, π(B)"
    assert figure.layout.yaxis.type == ("log" if quantity == "loss" else None)


def test_a_partial_result_draws_what_it_has():
    arrays, summary = path_result()
    some = {name: a for name, a in arrays.items() if name == "t" or name.startswith("line_b_test")}
    assert [trace.name for trace in path_figure(some, summary).data][-1] == "straight line A → B"
    assert "not computed yet" in path_figure({}, summary).to_json()
    lost = {**arrays, "path_b_test_loss": np.full(25, np.nan)}
    assert path_figure(lost, summary, log=False).layout.yaxis.type is None


@pytest.mark.parametrize("end", ["b", "pi_b"])
def test_the_curve_lies_on_the_plane_under_the_markers(end):
    figure = path_plane_figure(*BOTH, end)
    names = [trace.name for trace in figure.data]
    curve = figure.data[names.index(CURVE)]
    assert (curve.x[0], curve.y[0], curve.x[-1], curve.y[-1]) == (0, 0, 1, 0)
    assert CONTROL in names
    last = "B" if end == "b" else "π(B)"
    assert names[-3:] == ["A", last, "bend"]
    assert names.index(CURVE) < names.index("A")
    assert f"along {last} − A" in figure.layout.xaxis.title.text
    assert figure.layout.yaxis.title.text == "towards the bend"
    symbols = {trace.marker.symbol for trace in figure.data if trace.name in ("A", last, "bend")}
    assert len(symbols) == 3
    json.loads(figure.to_json())


def test_further_bends_are_marked_and_a_polygon_has_no_control_polygon():
    arrays, summary = path_result(bends=2)
    figure = path_plane_figure(arrays, summary, "b")
    assert "projected bends" in [trace.name for trace in figure.data]
    assert figure.layout.yaxis.title.text == "towards bend 1"
    summary["training"]["shape"] = "polygon"
    assert CONTROL not in [t.name for t in path_plane_figure(arrays, summary, "b").data]


def test_a_missing_plane_says_why():
    arrays, summary = path_result()
    summary["paths"]["b"]["plane"] = {"problem": "The bend lies on the line."}
    assert "bend lies on the line" in path_plane_figure(arrays, summary, "b").to_json()
    assert "No plane was" in path_plane_figure(arrays, {}, "b").to_json()


def test_a_trainings_loss_is_drawn_and_nan_stays_a_gap():
    steps, means = smoothed(np.geomspace(1, 0.01, 250))
    assert (len(steps), steps[-1]) == (84, 250)
    assert means == sorted(means, reverse=True)
    assert np.isnan(smoothed(np.array([1.0, np.nan]))[1][-1])
    figure = training_figure([1, 2, 3], [1.0, 0.5, None])
    assert figure.layout.yaxis.type == "log"
    assert np.isnan(figure.data[0].y[-1])
    assert "not taken its first steps" in training_figure([], []).to_json()


def test_the_bend_has_a_mark_of_its_own():
    symbols = [MARKERS[name].symbol for name in ("A", "B", "pi_b", "bend")]
    assert len(set(symbols)) == 4
