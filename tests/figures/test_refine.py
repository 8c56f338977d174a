"""The plane while it is computed."""

from __future__ import annotations

import numpy as np
import pytest

from engine.figures.refine import filled, lost

U = np.linspace(0, 1, 9)
PLANE = U[None, :] + 2 * U[:, None]


def test_linear_values_are_filled_exactly():
    done = np.zeros(PLANE.shape, dtype=bool)
    done[::4, ::4] = True
    values = np.where(done, PLANE, np.nan)
    assert filled(values, done, U, U) == pytest.approx(PLANE)


def test_computed_points_are_kept_and_diverged_ones_stay_nan():
    done = np.zeros(PLANE.shape, dtype=bool)
    done[::2, ::2] = True
    values = np.where(done, PLANE, np.nan)
    values[4, 4] = np.nan
    result = filled(values, done, U, U)
    assert np.isnan(result[4, 4])
    assert np.isnan(result[3:6, 3:6]).all()  # nearest to it: not filled in from further away
    assert np.isfinite(result[:, [0, 1, 2, 6, 7, 8]]).all()
    assert (result[done & np.isfinite(values)] == values[done & np.isfinite(values)]).all()


def test_a_plane_that_only_diverged_is_lost_altogether():
    done = np.zeros(PLANE.shape, dtype=bool)
    done[0, 0] = True
    assert lost(np.full(PLANE.shape, np.nan), done, U, U).all()
    assert not lost(PLANE, done, U, U).any()


def test_too_few_points_draw_nothing():
    done = np.zeros(PLANE.shape, dtype=bool)
    done[0, :3] = True
    assert np.isnan(filled(np.where(done, PLANE, np.nan), done, U, U)).all()


def test_points_on_one_line_use_the_nearest():
    done = np.zeros(PLANE.shape, dtype=bool)
    done[0] = True
    result = filled(np.where(done, PLANE, np.nan), done, U, U)
    assert result == pytest.approx(np.tile(PLANE[0], (9, 1)))


def test_a_finished_plane_is_untouched():
    values = PLANE.copy()
    values[2, 2] = np.nan
    result = filled(values, np.ones(PLANE.shape, dtype=bool), U, U)
    assert np.array_equal(result, values, equal_nan=True)
