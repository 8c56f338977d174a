from __future__ import annotations

import numpy as np
import torch

from engine.landscape import make_plane
from engine.landscape.progressive import coefficients_at, sobol_points


def test_sobol_points_cover_the_rectangle_evenly_from_every_power_of_two() -> None:
    points = sobol_points(2048, (-0.5, 1.5, -0.5, 1.5), 0)
    assert points.shape == (2048, 2)
    assert (points.min() >= -0.5) and (points.max() <= 1.5)
    for count in (64, 256, 2048):
        cells = np.histogram2d(*points[:count].T, bins=8, range=[[-0.5, 1.5]] * 2)[0]
        assert (cells == count / 64).all()
    np.testing.assert_array_equal(sobol_points(64, (-0.5, 1.5, -0.5, 1.5), 0), points[:64])
    assert not np.array_equal(sobol_points(64, (-0.5, 1.5, -0.5, 1.5), 1), points[:64])


def test_coefficients_are_those_of_the_grid_at_its_own_places() -> None:
    torch.manual_seed(0)
    models = [{"w": torch.randn(40)} for _ in range(3)]
    plane = make_plane(*models, resolution=(5, 4), extent=(-0.5, 1.5, -1, 2))
    places = np.stack([g.reshape(-1) for g in np.meshgrid(plane.u, plane.v)], axis=1)
    found = coefficients_at(plane, places)
    torch.testing.assert_close(found, plane.coefficients, rtol=0, atol=1e-14)
    assert (found.sum(1) - 1).abs().max() < 1e-15
    corners = coefficients_at(plane, np.array([plane.positions[n] for n in ("A", "B", "pi_b")]))
    torch.testing.assert_close(corners, plane.corners, rtol=0, atol=1e-14)
