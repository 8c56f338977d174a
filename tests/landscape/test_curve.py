"""Curves as coefficients: closed forms, the ends, lengths and places against dense vectors."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from engine.errors import LandscapeError
from engine.landscape import Span
from engine.landscape.curve import (
    SHAPES,
    curve,
    lengths,
    off_line,
    places,
    projected,
    straight_bends,
)
from engine.landscape.geometry import gram
from engine.landscape.plane import make_plane

NAMES = ("w",)


def vectors(count: int, seed: int = 0) -> list[dict[str, torch.Tensor]]:
    draws = torch.Generator().manual_seed(seed)
    return [{"w": torch.randn(7, generator=draws, dtype=torch.float64)} for _ in range(count)]


def dense(models, coefficients) -> torch.Tensor:
    return coefficients @ torch.stack([model["w"] for model in models])


@pytest.mark.parametrize("t", [0.0, 0.2, 0.5, 0.9, 1.0])
def test_bezier_weights_are_bernsteins(t):
    one = curve("bezier", 1, [t])[0]
    assert one.tolist() == pytest.approx([(1 - t) ** 2, 2 * t * (1 - t), t**2])
    two = curve("bezier", 2, [t])[0]
    expected = [(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3]
    assert two.tolist() == pytest.approx(expected)


@pytest.mark.parametrize("bends", [1, 2, 5])
def test_a_bezier_curve_is_de_casteljaus(bends):
    models = vectors(bends + 2)
    for t in (0.15, 0.5, 0.77):
        rest = [model["w"] for model in models]
        while len(rest) > 1:
            rest = [(1 - t) * a + t * b for a, b in pairwise(rest)]
        found = dense(models, curve("bezier", bends, [t]))[0]
        torch.testing.assert_close(found, rest[0])


def test_polygon_weights_join_neighbours():
    rows = curve("polygon", 2, [0, 1 / 6, 1 / 3, 0.5, 2 / 3, 5 / 6, 1]).tolist()
    expected = [
        *([1, 0, 0, 0], [0.5, 0.5, 0, 0], [0, 1, 0, 0], [0, 0.5, 0.5, 0]),
        *([0, 0, 1, 0], [0, 0, 0.5, 0.5], [0, 0, 0, 1]),
    ]
    for row, wanted in zip(rows, expected, strict=True):
        assert row == pytest.approx(wanted, abs=1e-15)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("bends", [1, 3])
def test_points_are_affine_and_the_ends_are_the_models_bit_for_bit(shape, bends):
    rows = curve(shape, bends, places(25))
    torch.testing.assert_close(rows.sum(1), torch.ones(25, dtype=torch.float64))
    assert rows[0].tolist() == [1, *[0] * (bends + 1)]
    assert rows[-1].tolist() == [*[0] * (bends + 1), 1]
    models = vectors(bends + 2)
    span = Span(tuple(f"m{k}" for k in range(bends + 2)), tuple(models))
    assert torch.equal(span.at(rows[0])["w"], models[0]["w"])
    assert torch.equal(span.at(rows[-1])["w"], models[-1]["w"])


@pytest.mark.parametrize("shape", SHAPES)
def test_evenly_spaced_bends_on_the_line_make_the_line(shape):
    a, b = vectors(2)
    bends = [{"w": (1 - s) * a["w"] + s * b["w"]} for s in straight_bends(3)]
    models, ts = [a, *bends, b], places(9)
    expected = torch.stack([(1 - t) * a["w"] + t * b["w"] for t in ts])
    torch.testing.assert_close(dense(models, curve(shape, 3, ts)), expected)
    products = gram(models, NAMES)
    found = lengths(shape, 3, ts, products)
    assert found.curve == pytest.approx(found.straight)
    assert found.straight == pytest.approx(float((b["w"] - a["w"]).norm()))
    assert found.positions == pytest.approx(ts)
    assert off_line(products) == pytest.approx([0, 0, 0], abs=1e-7)


def test_a_polygon_is_as_long_as_its_pieces():
    models = vectors(4)
    pieces = [float((b["w"] - a["w"]).norm()) for a, b in pairwise(models)]
    found = lengths("polygon", 2, [0, 1 / 3, 2 / 3, 1], gram(models, NAMES))
    assert found.curve == pytest.approx(sum(pieces))
    assert found.positions == pytest.approx(np.cumsum([0, *pieces]) / sum(pieces))


def test_a_parabola_has_the_length_of_calculus():
    # (t, t²) from 0 to 1 is the curve of these three points.
    models = [{"w": torch.tensor(p, dtype=torch.float64)} for p in ([0, 0], [0.5, 0], [1, 1])]
    exact = math.sqrt(5) / 2 + math.asinh(2) / 4
    found = lengths("bezier", 1, [0.0, 1.0], gram(models, NAMES))
    assert found.curve == pytest.approx(exact, rel=1e-6)
    assert found.straight == pytest.approx(math.sqrt(2))
    assert off_line(gram(models, NAMES)) == pytest.approx([math.sqrt(0.125)])


@pytest.mark.parametrize("third", [1, 2])
def test_projections_are_those_of_the_plane_and_the_rest_is_measured(third):
    models = vectors(4)
    rows = curve("bezier", 2, places(11))
    places_in, rest = projected(rows, gram(models, NAMES), third)
    plane = make_plane(models[0], models[-1], models[third], names=NAMES)
    a, b, c = (models[k]["w"] for k in (0, -1, third))
    unit = float((b - a).norm())
    e1 = (b - a) / unit
    e2 = (c - a) - ((c - a) @ e1) * e1
    e2 = e2 / e2.norm()
    for row, place, off in zip(dense(models, rows), places_in, rest, strict=True):
        move = row - a
        assert place == pytest.approx([float(move @ e1) / unit, float(move @ e2) / unit])
        left = move - (move @ e1) * e1 - (move @ e2) * e2
        assert off == pytest.approx(float(left.norm()) / unit, abs=1e-7)
    own, _ = projected(torch.eye(4, dtype=torch.float64)[[third]], gram(models, NAMES), third)
    assert own[0] == pytest.approx(plane.positions["pi_b"])


def test_equal_ends_have_a_length_and_no_direction():
    a, bend = vectors(2)
    products = gram([a, bend, a], NAMES)
    assert lengths("polygon", 1, [0, 0.5, 1], products).straight == 0
    assert off_line(products) == pytest.approx([float((bend["w"] - a["w"]).norm())])
    same = lengths("bezier", 1, [0, 0.5, 1], gram([a, a, a], NAMES))
    assert (same.curve, same.positions.tolist()) == (0, [0, 0.5, 1])
    with pytest.raises(LandscapeError, match="no plane is theirs"):
        projected(curve("bezier", 1, [0.5]), products, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("spiral", 1, [0.5]), "no curve called 'spiral'; there are bezier, polygon"),
        (("bezier", 0, [0.5]), "at least 1 bend, not 0; without one it is the straight line"),
        (("bezier", 1, [1.01]), "a number t from 0, one end, to 1"),
        (("polygon", 1, [-0.01]), "a number t from 0, one end, to 1"),
        (("polygon", 1, [math.nan]), "a number t from 0, one end, to 1"),
    ],
)
def test_curves_that_do_not_exist_are_refused(arguments, message):
    with pytest.raises(LandscapeError, match=message):
        curve(*arguments)


def test_one_point_is_no_curve():
    with pytest.raises(LandscapeError, match="at least 2 points, its two ends; 1 was asked"):
        places(1)
