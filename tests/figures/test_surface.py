"""The plane as a surface."""

from __future__ import annotations

import numpy as np
import pytest

from engine.figures import surface_figure
from engine.figures.palette import MARKERS
from tests.figures.synthetic import POSITIONS, synthetic_result

ARRAYS, SUMMARY = synthetic_result(resolution=9)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_models_stand_on_their_own_loss(theme):
    figure = surface_figure(ARRAYS, SUMMARY, theme=theme)
    low, high = figure.data[0].cmin, figure.data[0].cmax
    for name, (u, v) in POSITIONS.items():
        trace = next(trace for trace in figure.data if trace.name == MARKERS[name].label)
        assert (trace.x[0], trace.y[0]) == (u, v)
        loss = SUMMARY["ends"][name.lower()]["test"]["loss"]
        assert trace.z[0] == pytest.approx(np.log10(loss), abs=0.05 * (high - low))


def test_edges_carry_the_curves_exact_losses():
    figure = surface_figure(ARRAYS, SUMMARY, log=False, cap=100.0)
    trace = next(trace for trace in figure.data if trace.name.startswith("A → B"))
    lifted = np.asarray(trace.z) - ARRAYS["curve_naive_test_loss"]
    assert np.ptp(lifted) == pytest.approx(0, abs=1e-12)
    assert lifted[0] > 0


def test_height_and_colour_share_the_ticks():
    figure = surface_figure(ARRAYS, SUMMARY, cap=1.0)
    assert figure.layout.scene.zaxis.ticktext == figure.data[0].colorbar.ticktext
    assert figure.layout.scene.zaxis.ticktext[-1] == "≥ 1"


def test_holes_are_explained():
    loss = ARRAYS["plane_test_loss"].copy()
    loss[0, 0] = np.inf
    figure = surface_figure({**ARRAYS, "plane_test_loss": loss}, SUMMARY, cap=1.0)
    assert np.isnan(figure.data[0].z[0][0])
    note = figure.layout.annotations[0].text
    assert "holes: diverged: infinite" in note
    assert "flat top: above cap, loss ≥ 1" in note
    assert not surface_figure(ARRAYS, SUMMARY, cap=100.0).layout.annotations


def test_a_missing_plane_says_so():
    assert "no plane" in surface_figure({}, {}).layout.annotations[0].text
