from __future__ import annotations

import math

import numpy as np
import pytest

from engine.errors import LandscapeError
from engine.landscape import barrier

LAMBDAS = np.linspace(0, 1, 5)


def test_every_definition_on_a_curve_made_by_hand():
    result = barrier(
        LAMBDAS, [1.0, 2.0, 3.0, 5.0, 2.0], [0.3, 0.1, 0.1, 0.4, 0.6], [0.9, 0.5, 0.4, 0.2, 0.7]
    )
    assert result.git_rebasin == pytest.approx(5 - 1.5)
    assert result.entezari == pytest.approx(5 - (0.25 * 1 + 0.75 * 2))
    assert result.frankle == pytest.approx(0.8 - 0.2)
    assert result.midpoint == 3
    assert result.worst == 0.75
    assert result.git_rebasin_se == pytest.approx(math.sqrt(0.16 + 0.25 * (0.09 + 0.36)))


def test_without_a_hill_the_barriers_are_at_their_floor():
    result = barrier(LAMBDAS, [3.0, 1.0, 1.0, 1.0, 1.0], [0.2, 0, 0, 0, 0.2], [0.5, 1, 1, 1, 1])
    assert result.git_rebasin == 1
    assert result.git_rebasin_se == pytest.approx(math.sqrt(0.25 * (0.04 + 0.04)))
    assert result.entezari == 0
    assert result.frankle == 0.25
    assert result.worst == 0


def test_nan_and_infinite_losses_are_never_filled_in():
    nan = barrier(LAMBDAS, [1, np.nan, 2, 3, 1], np.ones(5), [1, np.nan, 1, 1, 1])
    assert math.isnan(nan.git_rebasin)
    assert math.isnan(nan.entezari)
    assert math.isnan(nan.frankle)
    assert nan.midpoint == 2
    assert nan.worst == 0.25
    infinite = barrier(LAMBDAS, [1, np.inf, 2, 3, 1], np.ones(5), np.ones(5))
    assert infinite.git_rebasin == math.inf
    assert infinite.entezari == math.inf
    assert infinite.worst == 0.25


def test_the_midpoint_is_unknown_where_it_is_no_point():
    assert math.isnan(barrier([0, 1 / 3, 2 / 3, 1], [1, 2, 2, 1], np.zeros(4), np.ones(4)).midpoint)


def test_arrays_that_do_not_fit_are_refused():
    with pytest.raises(LandscapeError, match=r"shapes are \(5,\), \(4,\), \(5,\) and \(5,\)"):
        barrier(LAMBDAS, np.ones(4), np.ones(5), np.ones(5))


@pytest.mark.parametrize("lambdas", [[0.0], [0.1, 1.0], [0.0, 0.9], [0.0, 0.5, 0.5, 1.0]])
def test_lambdas_that_are_no_line_are_refused(lambdas):
    n = len(lambdas)
    with pytest.raises(LandscapeError, match="ascend from 0"):
        barrier(lambdas, np.ones(n), np.ones(n), np.ones(n))
