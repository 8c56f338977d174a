"""The flat plane: markers, edges, colours, diverged points, partial and missing planes."""

from __future__ import annotations

import numpy as np
import pytest

from engine.figures import plane_figure
from engine.figures.diverged import DIVERGED, hatch
from engine.figures.palette import MARKERS
from engine.figures.plane import NO_PLANE, OUTLINE
from tests.figures.synthetic import POSITIONS, synthetic_result

ARRAYS, SUMMARY = synthetic_result(resolution=9)


def traces(figure, name):
    return [trace for trace in figure.data if trace.name == name]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_markers_stand_where_the_summary_says(theme):
    figure = plane_figure(ARRAYS, SUMMARY, theme=theme)
    symbols = set()
    for name, (u, v) in POSITIONS.items():
        (trace,) = traces(figure, MARKERS[name].label)
        assert (trace.x[0], trace.y[0]) == (u, v)
        assert trace.text[0] == f"<b>{MARKERS[name].label}</b>"
        symbols.add(trace.marker.symbol)
    assert symbols == {"circle", "square", "triangle-up"}


def test_a_marker_tells_its_own_exact_loss():
    (trace,) = traces(plane_figure(ARRAYS, SUMMARY), "A")
    loss = SUMMARY["ends"]["a"]["test"]["loss"]
    assert f"{loss:.3f}".lstrip("0") in trace.hovertemplate


def test_edges_join_the_models():
    figure = plane_figure(ARRAYS, SUMMARY)
    for title, start, end, dash in (
        ("A → B, as trained", "A", "B", "solid"),
        ("A → π(B), re-basined", "A", "pi_b", "solid"),
        ("B → π(B), the same function", "B", "pi_b", "dot"),
    ):
        (trace,) = traces(figure, title)
        ends = list(zip(trace.x, trace.y, strict=True))
        assert ends == [pytest.approx(POSITIONS[start]), pytest.approx(POSITIONS[end])]
        assert trace.line.dash == dash


def test_contours_hold_the_losses():
    figure = plane_figure(ARRAYS, SUMMARY, cap=1.0)
    contour = figure.data[0]
    loss = ARRAYS["plane_test_loss"]
    assert np.asarray(contour.z) == pytest.approx(np.log10(np.clip(loss, None, 1.0)))
    assert contour.colorbar.ticktext[-1] == "≥ 1"
    assert contour.colorbar.tickvals[-1] == pytest.approx(0.0)
    assert "accuracy" in contour.text[0][0]
    assert figure.layout.yaxis.scaleanchor == "x"
    assert "‖B − A‖ = 61.1" in figure.layout.xaxis.title.text


def test_linear_scale():
    contour = plane_figure(ARRAYS, SUMMARY, log=False, cap=1.0).data[0]
    assert np.asarray(contour.z) == pytest.approx(np.clip(ARRAYS["plane_test_loss"], None, 1.0))


def test_basins_are_outlined_at_their_threshold():
    (trace,) = traces(plane_figure(ARRAYS, SUMMARY), OUTLINE)
    assert trace.contours.start == pytest.approx(np.log10(SUMMARY["basins"]["threshold"]))
    assert not traces(plane_figure(ARRAYS, SUMMARY, basins=False), OUTLINE)
    (legend,) = (n for n in plane_figure(ARRAYS, SUMMARY).layout.annotations if OUTLINE in n.text)
    # In the upper corner: A and B lie near the lower edge.
    assert (legend.yanchor, legend.y > 0.9) == ("top", True)
    assert not traces(plane_figure(ARRAYS, {**SUMMARY, "basins": None}), OUTLINE)


def test_diverged_points_are_marked_and_explained():
    loss = ARRAYS["plane_test_loss"].copy()
    loss[2, 3], loss[7, 8] = np.nan, np.inf
    figure = plane_figure({**ARRAYS, "plane_test_loss": loss}, SUMMARY)
    (trace,) = traces(figure, DIVERGED)
    u, v = ARRAYS["plane_u"], ARRAYS["plane_v"]
    assert list(zip(trace.x, trace.y, strict=True)) == [(u[3], v[2]), (u[8], v[7])]
    assert figure.layout.shapes[0].layer == "below"
    legend = figure.layout.annotations[0].text
    assert "✕ diverged: not a number or infinite" in legend
    assert list(trace.text) == [
        "diverged: the loss is not a number",
        "diverged: the loss is infinite",
    ]
    assert "diverged: the loss is infinite" in figure.data[0].text[7][8]
    assert np.isnan(figure.data[0].z[2][3])
    assert np.isnan(figure.data[0].z[7][8])
    assert not traces(plane_figure(ARRAYS, SUMMARY), DIVERGED)


def test_losses_over_the_cap_are_told_from_diverged_ones():
    loss = ARRAYS["plane_test_loss"].copy()
    loss[8, 8] = 1e12
    figure = plane_figure({**ARRAYS, "plane_test_loss": loss}, SUMMARY, cap=1.0)
    assert figure.data[0].z[8][8] == pytest.approx(0.0)
    legend = figure.layout.annotations[0].text
    assert "■ above cap: loss ≥ 1" in legend
    assert "diverged" not in legend
    assert "above cap" not in plane_figure(ARRAYS, SUMMARY, cap=100.0).layout.annotations[0].text


def test_a_diverged_point_is_not_filled_in_while_others_are_awaited():
    done = np.zeros((9, 9), dtype=bool)
    done[::4, ::4] = True
    loss = np.where(done, ARRAYS["plane_test_loss"], np.nan)
    loss[8, 8] = np.inf
    figure = plane_figure({**ARRAYS, "plane_test_loss": loss, "plane_done": done}, {})
    z = np.asarray(figure.data[0].z, dtype=float)
    assert np.isnan(z[7:, 7:]).all()
    assert np.isfinite(z[:6, :6]).all()
    (trace,) = traces(figure, DIVERGED)
    assert len(trace.x) == 1
    assert figure.layout.shapes[0].path.count("Z") > 9


def test_hatching_stays_in_its_cell():
    numbers = hatch((1.0, 2.0), 0.5, 0.25).replace("M", " ").replace("L", " ").replace("Z", " ")
    points = np.array([[float(n) for n in pair.split(",")] for pair in numbers.split()])
    assert points.min(axis=0) == pytest.approx([0.5, 1.75])
    assert points.max(axis=0) == pytest.approx([1.5, 2.25])


def test_a_partial_plane_is_interpolated_not_diverged():
    done = np.zeros((9, 9), dtype=bool)
    done[::4, ::4] = True
    loss = np.where(done, ARRAYS["plane_test_loss"], np.nan)
    figure = plane_figure({**ARRAYS, "plane_test_loss": loss, "plane_done": done}, {})
    assert np.isfinite(np.asarray(figure.data[0].z, dtype=float)).all()
    assert not traces(figure, DIVERGED)
    assert figure.data[0].text[1][1] == "not computed yet"


def test_a_missing_plane_says_why():
    assert NO_PLANE in plane_figure({}, {}).layout.annotations[0].text
    sentence = "A and B are equal: no plane."
    figure = plane_figure({}, {"plane": {"degenerate": sentence}})
    assert figure.layout.annotations[0].text == sentence
