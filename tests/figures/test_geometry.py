"""Where models and edges lie, and what their labels say."""

from __future__ import annotations

import numpy as np
import pytest

from engine.figures.geometry import EDGES, label_side, labels, path, point_text, positions
from engine.figures.task import Words
from tests.figures.synthetic import POSITIONS, synthetic_result


def test_positions_are_the_summarys():
    _, summary = synthetic_result(resolution=5)
    assert positions(summary) == POSITIONS
    assert positions({}) == {}


def test_models_on_one_place_share_a_label():
    points = {"A": (0.0, 0.0), "B": (1.0, 0.0), "pi_b": (1.0, 0.001)}
    assert labels(points) == {"A": "A", "B": "B = π(B)", "pi_b": ""}
    assert labels(POSITIONS) == {"A": "A", "B": "B", "pi_b": "π(B)"}


def test_labels_point_away_from_the_others():
    assert label_side("A", POSITIONS) == "bottom left"
    assert label_side("B", POSITIONS) == "bottom right"
    assert label_side("pi_b", POSITIONS) == "top center"


def test_a_path_runs_from_start_to_end():
    edge = next(edge for edge in EDGES if edge.curve == "rebasin")
    u, v = path(edge, POSITIONS, np.array([0.0, 0.5, 1.0]))
    assert (u[0], v[0]) == POSITIONS["A"]
    assert (u[-1], v[-1]) == pytest.approx(POSITIONS["pi_b"])
    assert u[1] == pytest.approx(0.16)


def test_point_text():
    text = point_text(0.842, 0.009, 0.889, "test", Words())
    assert text == "test loss <b>.842</b> ± .009<br>accuracy 88.9 %"
    assert "diverged" in point_text(np.nan, 0.1, 0.5, "test", Words())
