from __future__ import annotations

import numpy as np
import pytest

from engine.landscape.progressive.surface import Expected, Nodes, Surface, spans_a_plane

RNG = np.random.default_rng(0)
POINTS = RNG.uniform(-1, 3, (40, 2))
VALUES = np.sin(POINTS[:, 0]) + POINTS[:, 1] ** 2


def test_a_surface_goes_through_its_values_and_knows_it() -> None:
    surface = Surface.through(Nodes.at(POINTS), VALUES)
    np.testing.assert_allclose(surface.at(POINTS), VALUES, atol=1e-9)
    assert (surface.error(POINTS) == 0).all()
    assert (surface.error(POINTS + 0.01) > 0).all()


def test_a_plane_is_reproduced_everywhere() -> None:
    places = RNG.uniform(-5, 5, (9, 2))
    surface = Surface.through(Nodes.at(POINTS), 2 - POINTS[:, 0] + 3 * POINTS[:, 1])
    np.testing.assert_allclose(surface.at(places), 2 - places[:, 0] + 3 * places[:, 1], atol=1e-8)


def test_left_out_errors_are_those_of_surfaces_without_each_value() -> None:
    left_out = Surface.through(Nodes.at(POINTS), VALUES).left_out()
    for one in range(0, 40, 7):
        others = np.delete(np.arange(40), one)
        without = Surface.through(Nodes.at(POINTS[others]), VALUES[others])
        assert VALUES[one] - without.at(POINTS[[one]])[0] == pytest.approx(left_out[one])


def test_many_places_are_taken_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    places = RNG.uniform(-1, 3, (50, 2))
    surface = Surface.through(Nodes.at(POINTS), VALUES)
    at, error = surface.at(places), surface.error(places)
    monkeypatch.setattr("engine.landscape.progressive.surface.BLOCK", 7)
    np.testing.assert_allclose(surface.at(places), at, rtol=1e-12)
    np.testing.assert_allclose(surface.error(places), error, rtol=1e-6)


def test_what_is_known_beforehand_counts_as_four_further_left_out_errors() -> None:
    surface, places = Surface.through(Nodes.at(POINTS), VALUES), POINTS + 0.01
    alone = surface.error(places)
    one, other = (
        surface.error(places, Expected(scale * np.ones(40), scale * np.ones(40)))
        for scale in (1, 100)
    )
    np.testing.assert_allclose(one, other)  # relative to each other alone
    wide = surface.error(places, Expected(np.ones(40), 1e3 * np.ones(40)))
    assert (wide > 100 * alone).all()
    none = surface.error(places, Expected(np.zeros(40), np.ones(40)))
    np.testing.assert_allclose(none, alone * np.sqrt(8 / 12))


def test_points_on_a_line_span_no_plane() -> None:
    line = np.stack([np.arange(6.0), 2 * np.arange(6.0)], axis=1)
    assert not spans_a_plane(line)
    assert not spans_a_plane(POINTS[:3])
    assert spans_a_plane(np.concatenate([line, [[0.0, 1.0]]]))
