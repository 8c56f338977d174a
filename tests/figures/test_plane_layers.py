"""Layers of a plane: the loss and its errors, each with its own colours; evaluated points."""

from __future__ import annotations

import numpy as np
import pytest

from engine.figures import plane_figure, surface_figure
from engine.figures.palette import COLORSCALE
from engine.figures.plane_layers import (
    ERRORS,
    EVALUATED,
    PARTLY,
    add_evaluated,
    layer_of,
    layer_values,
    layers,
    marked,
)
from tests.figures.synthetic import synthetic_result

ARRAYS, SUMMARY = synthetic_result(resolution=9)


def progressive():
    """A plane of which every second point is evaluated, one in four on a part of the data."""
    shape = ARRAYS["plane_test_loss"].shape
    kinds = np.zeros(shape, dtype=np.int8)
    kinds[::2, ::2], kinds[1::2, 1::2] = 2, 1
    between = np.where(kinds == 0, 0.02, 0.0)
    part = np.where(kinds == 1, 0.005, 0.0)
    return {
        **ARRAYS,
        "plane_evaluated": kinds,
        "plane_test_error": np.hypot(between, part),
        "plane_test_error_interpolation": between,
        "plane_test_error_sampling": part,
    }


def test_a_full_plane_has_the_error_over_samples_alone():
    assert [layer.key for layer in layers(ARRAYS)] == ["loss", "se"]
    assert not marked(ARRAYS)


def test_an_estimated_plane_has_every_error():
    arrays = progressive()
    assert [layer.key for layer in layers(arrays)] == ["loss", "se", "interpolation", "part"]
    arrays["plane_test_error_sampling"] = 0 * arrays["plane_test_error_sampling"]
    assert [layer.key for layer in layers(arrays)] == ["loss", "se", "interpolation"]


@pytest.mark.parametrize("draw", [plane_figure, surface_figure])
def test_an_error_has_its_own_colours_scale_and_label(draw):
    loss, error = (
        draw(ARRAYS, SUMMARY, cap=1.0, log=False, layer=key).data[0] for key in ("loss", "se")
    )
    drawn = error.surfacecolor if draw is surface_figure else error.z
    expected = np.clip(ARRAYS["plane_test_loss_se"], None, float(np.max(drawn)))
    assert np.asarray(drawn) == pytest.approx(expected)
    assert "standard error over samples" in error.colorbar.title.text
    assert error.colorscale[0] != loss.colorscale[0]
    assert list(loss.text.ravel()) == list(error.text.ravel())


def test_estimated_errors_are_drawn_in_per_cent():
    figure = plane_figure(progressive(), SUMMARY, layer="interpolation", log=False)
    assert figure.data[0].colorbar.title.text.endswith("%")
    assert np.nanmax(figure.data[0].z) == pytest.approx(2.0)


def test_an_error_without_bound_is_above_every_other():
    arrays = progressive()
    arrays["plane_test_error_interpolation"][0, 1] = np.inf
    values = layer_values(arrays, layer_of(arrays, "interpolation"), "test")
    assert values[0, 1] == values.max() == pytest.approx(20.0)
    text = plane_figure(arrays, SUMMARY, layer="interpolation").data[0].text
    assert "unbounded" in text[0][1]


def test_hover_tells_both_errors_and_where_a_loss_comes_from():
    text = plane_figure(progressive(), SUMMARY).data[0].text
    assert "evaluated on all data" in text[0][0]
    assert "estimated" not in text[0][0]
    assert "interpolated<br>± 2 % estimated, interpolation" in text[0][1]
    assert "± 0.5 % estimated, part of the data" in text[1][1]
    assert "±" in text[0][1].split("<br>")[0]


def test_a_layer_that_a_plane_lacks_is_the_loss():
    assert layer_of(ARRAYS, "interpolation").key == "loss"
    assert plane_figure(ARRAYS, SUMMARY, layer="interpolation").data[0].name == "test loss"
    assert {COLORSCALE, ERRORS} == {layer.colours for layer in layers(ARRAYS)}


def test_evaluated_points_are_marked_when_asked():
    arrays = progressive()
    names = {trace.name: trace for trace in plane_figure(arrays, SUMMARY, points=True).data}
    assert len(names[EVALUATED].x) == 25
    assert len(names[PARTLY].x) == 16
    assert (names[PARTLY].x[0], names[PARTLY].y[0]) == (ARRAYS["plane_u"][1], ARRAYS["plane_v"][1])
    legend = plane_figure(arrays, SUMMARY, points=True).layout.annotations[0].text
    assert f"● {EVALUATED}" in legend
    assert f"○ {PARTLY}" in legend
    assert EVALUATED not in {trace.name for trace in plane_figure(arrays, SUMMARY).data}
    assert EVALUATED not in {
        trace.name for trace in plane_figure(ARRAYS, SUMMARY, points=True).data
    }


def test_scattered_points_are_marked_where_they_were_evaluated():
    arrays = progressive()
    arrays["plane_evaluated"][:] = 0
    arrays |= {"scatter_u": np.array([0.1, 0.2, 0.3]), "scatter_v": np.array([1.0, 1.1, 1.2])}
    figure = plane_figure({}, {})
    add_evaluated(figure, arrays)
    assert list(figure.data[0].x) == [0.1, 0.2, 0.3]
