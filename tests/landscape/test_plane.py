from __future__ import annotations

import math
import re

import numpy as np
import pytest
import torch

from engine.errors import LandscapeError
from engine.landscape import Span, geometry_names, make_plane
from tests.landscape.oracle import combine, setting, state
from tests.models import MODELS


def flat(model, names):
    return torch.cat([model[name].double().reshape(-1) for name in names])


def small(*rows):
    return [{"w": torch.tensor(row)} for row in rows]


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name)
def test_grid_points_are_those_of_a_dense_orthonormal_basis(model):
    program, models, _ = setting(model, 1)
    names = geometry_names(program)
    plane = make_plane(*models, resolution=(5, 4), names=names)
    a, b, c = (flat(m, names) for m in models)
    unit = float((b - a).norm())
    e1 = (b - a) / unit
    rest = (c - a) - ((c - a) @ e1) * e1
    e2 = rest / rest.norm()
    assert plane.degenerate is None
    assert plane.coefficients.shape == (20, 3)
    torch.testing.assert_close(plane.coefficients.sum(1), torch.ones(20, dtype=torch.float64))
    places = [(u, v) for v in plane.v for u in plane.u]
    for (u, v), row in zip(places, plane.coefficients, strict=True):
        torch.testing.assert_close(
            flat(combine(models, row), names), a + u * unit * e1 + v * unit * e2
        )
    assert plane.u_norm == pytest.approx(unit)
    assert plane.v_norm == pytest.approx(float(rest.norm()))
    assert plane.orthonormality < 1e-12
    p, q = plane.positions["pi_b"]
    assert (p * unit, q * unit) == pytest.approx((float((c - a) @ e1), float(rest.norm())))
    assert plane.distances["B|pi_b"] == pytest.approx(float((b - c).norm()))
    cosine = float((b - a) @ (c - a) / unit / (c - a).norm())
    assert plane.angle_degrees == pytest.approx(math.degrees(math.acos(cosine)))


@pytest.mark.parametrize("resolution", [5, 25, 33, (21, 20)])
def test_corners_are_the_models_bit_for_bit_and_grid_points_on_them_too(resolution):
    _, models, _ = setting(MODELS[0], 1)
    plane = make_plane(*models, resolution=resolution)
    assert torch.equal(plane.corners, torch.eye(3, dtype=torch.float64))
    for model, row in zip(models, plane.corners, strict=True):
        assert all(torch.equal(t, model[n]) for n, t in plane.span.at(row).items())
    if resolution in (5, 25, 33):
        grid = plane.coefficients.view(len(plane.v), len(plane.u), 3)
        row = int(np.flatnonzero(plane.v == 0)[0])
        for u, expected in ((0, [1, 0, 0]), (1, [0, 1, 0])):
            column = int(np.flatnonzero(plane.u == u)[0])
            assert grid[row, column].tolist() == expected
    third = torch.tensor(plane.positions["pi_b"])
    assert third.isfinite().all()


def test_axes_cover_the_extent_exactly():
    plane = make_plane(
        *small([0.0, 0.0], [1.0, 0.0], [0.0, 1.0]), resolution=(3, 2), extent=(-1, 1, -0.25, 2)
    )
    assert plane.u.tolist() == [-1, 0, 1]
    assert plane.v.tolist() == [-0.25, 2]
    assert plane.coefficients[2].tolist() == [0.25, 1.0, -0.25]


def test_nearly_parallel_models_still_have_an_orthonormal_basis():
    torch.manual_seed(0)
    a, d, e = torch.randn(3, 1000, dtype=torch.float64)
    plane = make_plane({"w": a}, {"w": a + d}, {"w": a + d + 1e-4 * e})
    assert plane.degenerate is None
    assert plane.orthonormality < 1e-12


@pytest.mark.parametrize(
    ("b", "pi_b", "sentence", "corners", "positions"),
    [
        ("b", "b", r"π\(B\) is B itself: no unit", [0, 1, 1], [0, 1, 1]),
        ("b", "a", r"π\(B\) is A itself", [0, 1, 0], [0, 1, 0]),
        ("a", "b", "A and B are the same model", [0, 0, 1], [0, 0, 1]),
        ("a", "a", "A, B and π.B. are the same model; both axes", [0, 0, 0], [0, 0, 0]),
        ("b", "half", r"lie on one line", [0, 1, 0.5], [0, 1, 0.5]),
    ],
)
def test_models_on_one_line_get_a_random_axis_and_a_sentence(b, pi_b, sentence, corners, positions):
    first, second = (state(MODELS[0].module(seed)) for seed in (0, 1))
    half = Span(("A", "B"), (first, second)).at(torch.tensor([0.5, 0.5]))
    known = {"a": first, "b": second, "half": half}
    plane = make_plane(first, known[b], known[pi_b], resolution=5)
    assert plane.degenerate is not None
    assert torch.tensor(corners).sub(plane.corners[:, 1]).abs().max() < 1e-6
    assert torch.equal(plane.corners.sum(1), torch.ones(3, dtype=torch.float64))
    assert [p for p, _ in plane.positions.values()] == pytest.approx(positions, abs=1e-6)
    assert all(q == 0 for _, q in plane.positions.values())
    assert plane.coefficients.isfinite().all()
    assert plane.v_norm == 0
    names = list(first)
    origin, x, y = (flat(m, names) for m in plane.span.models)
    assert float((x - origin).norm()) == pytest.approx(plane.u_norm, rel=1e-5)
    assert float((y - origin).norm()) == pytest.approx(plane.u_norm, rel=1e-5)
    assert abs(float((x - origin) @ (y - origin))) < 1e-5 * plane.u_norm**2
    assert re.search(sentence, plane.degenerate)


def test_the_random_axis_depends_on_the_seed_alone():
    first, second = (state(MODELS[0].module(seed)) for seed in (0, 1))
    planes = [make_plane(first, second, second, seed=seed) for seed in (3, 3, 4)]
    thirds = [plane.span.models[2]["1.weight"] for plane in planes]
    assert torch.equal(thirds[0], thirds[1])
    assert not torch.equal(thirds[0], thirds[2])


def test_an_angle_needs_two_sides():
    a, b = small([1.0, 0.0, 2.0], [0.0, 1.0, 1.0])
    assert make_plane(a, b, b).angle_degrees == pytest.approx(0, abs=1e-4)
    assert make_plane(a, b, a).angle_degrees is None


def test_nan_weights_span_nothing():
    with pytest.raises(LandscapeError, match="NaN or infinite weights"):
        make_plane(*small([0.0, 0.0], [1.0, 0.0], [0.0, math.nan]))


@pytest.mark.parametrize("resolution", [1, (5, 1), 0])
def test_a_grid_needs_two_points_per_axis(resolution):
    with pytest.raises(LandscapeError, match="at least 2 points per axis"):
        make_plane(*small([0.0, 0.0], [1.0, 0.0], [0.0, 1.0]), resolution=resolution)


@pytest.mark.parametrize("extent", [(1, 0, 0, 1), (0, 1, 1, 1), (0, math.inf, 0, 1)])
def test_an_extent_is_a_rectangle(extent):
    with pytest.raises(LandscapeError, match="is no rectangle"):
        make_plane(*small([0.0, 0.0], [1.0, 0.0], [0.0, 1.0]), extent=extent)
