from __future__ import annotations

import pytest

from engine.landscape.grid import grid_axes, square_around


def test_a_square_holds_its_points_with_the_margin():
    u0, u1, v0, v1 = square_around([(0.0, 0.0), (1.0, 0.0), (0.3, 0.4)], 0.5)
    assert (u0, u1) == (-0.5, 1.5)
    assert (v0, v1) == (-0.8, 1.2)
    u0, u1, v0, v1 = square_around([(0.0, 0.0), (-0.123, 4.56)], 0.25)
    assert v0 == pytest.approx(-1.14, abs=0.1)
    assert u0 < -0.123 < 0 < u1
    assert v1 > 4.56 + 1.1


def test_both_axes_end_where_they_are_asked_to():
    u, v = grid_axes((3, 2), (-1, 1, -0.25, 2))
    assert u.tolist() == [-1, 0, 1]
    assert v.tolist() == [-0.25, 2]
