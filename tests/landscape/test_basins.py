from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest

from engine.errors import LandscapeError
from engine.landscape import basins, default_threshold


def brute_pass(grid, start, stop):
    """Try every level: the lowest at which a flood from `start` reaches `stop`."""
    for level in sorted(set(grid[np.isfinite(grid)])):
        with np.errstate(invalid="ignore"):
            open_cells = {tuple(cell) for cell in np.argwhere(np.isfinite(grid) & (grid <= level))}
        if start not in open_cells:
            continue
        seen, todo = {start}, [start]
        while todo:
            row, column = todo.pop()
            for near in (
                (row + 1, column),
                (row - 1, column),
                (row, column + 1),
                (row, column - 1),
            ):
                if near in open_cells and near not in seen:
                    seen.add(near)
                    todo.append(near)
        if stop in seen:
            return level
    return math.inf


@pytest.mark.parametrize("seed", range(30))
def test_passes_equal_brute_force_on_the_grid(seed):
    rng = np.random.default_rng(seed)
    grid = rng.integers(0, 12, size=(5, 6)).astype(float)
    grid[rng.random(grid.shape) < 0.15] = rng.choice([np.nan, np.inf])
    cells = {"A": (0, 0), "B": (4, 5), "pi_b": (2, 3)}
    positions = {name: (float(column), float(row)) for name, (row, column) in cells.items()}
    result = basins(grid, np.arange(6), np.arange(5), positions, threshold=6.0)
    for a, b in combinations(cells, 2):
        expected = brute_pass(grid, cells[a], cells[b])
        assert result.passes[f"{a}|{b}"] == expected
        same = result.basin_of[a] == result.basin_of[b] != 0
        assert same == (expected < 6)
    with np.errstate(invalid="ignore"):
        assert ((result.labels > 0) == (np.isfinite(grid) & (grid < 6))).all()


def test_a_model_between_grid_points_uses_the_square_around_it():
    grid = np.array([[9.0, 9.0, 9.0], [1.0, 4.0, 2.0], [9.0, 9.0, 9.0]])
    positions = {"A": (0.0, 1.0), "B": (1.6, 0.7)}
    result = basins(grid, np.arange(3), np.arange(3), positions, threshold=3.0)
    assert result.passes == {"A|B": 4.0}
    assert result.count == 2
    assert result.basin_of == {"A": 1, "B": 2}


def test_a_pass_is_never_below_a_models_own_loss():
    grid = np.ones((3, 3))
    positions = {"A": (0.0, 0.0), "B": (1.5, 1.5)}
    axes = np.arange(3), np.arange(3)
    result = basins(grid, *axes, positions, threshold=4.0, own={"A": 1.0, "B": 5.0})
    assert result.passes["A|B"] == 5.0
    assert result.basin_of == {"A": 1, "B": 0}
    unknown = basins(grid, *axes, positions, threshold=4.0, own={"A": 1.0, "B": math.nan})
    assert math.isnan(unknown.passes["A|B"])
    assert unknown.basin_of["B"] == 0


def test_a_model_outside_the_grid_has_no_basin_and_no_pass():
    positions = {"A": (0.0, 0.0), "B": (2.5, 0.0)}
    result = basins(np.ones((3, 3)), np.arange(3), np.arange(3), positions, threshold=2.0)
    assert result.basin_of == {"A": 1, "B": 0}
    assert math.isnan(result.passes["A|B"])


def test_two_models_at_one_place_share_a_basin():
    positions = {"A": (0.0, 0.0), "pi_b": (0.0, 0.0)}
    result = basins(np.eye(3), np.arange(3), np.arange(3), positions, threshold=2.0)
    assert result.passes["A|pi_b"] == 1.0
    assert result.basin_of["A"] == result.basin_of["pi_b"] == 1


def test_diagonal_neighbours_are_not_joined():
    grid = np.array([[0.0, 9.0], [9.0, 0.0]])
    positions = {"A": (0.0, 0.0), "B": (1.0, 1.0)}
    result = basins(grid, [0, 1], [0, 1], positions, threshold=1.0)
    assert result.count == 2
    assert result.passes["A|B"] == 9.0


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_points_without_a_number_join_nothing_even_under_an_infinite_threshold(value):
    grid = np.array([[0.0, value, 0.0]])
    positions = {"A": (0.0, 0.0), "B": (2.0, 0.0)}
    result = basins(grid, [0, 1, 2], [0.0], positions, threshold=math.inf)
    assert result.labels.tolist() == [[1, 0, 2]]
    assert result.passes["A|B"] == math.inf


def test_losses_that_do_not_fit_the_axes_are_refused():
    with pytest.raises(LandscapeError, match="do not fit 2 rows and 3 columns"):
        basins(np.ones((3, 2)), np.arange(3), np.arange(2), {}, 1.0)


def test_a_nan_threshold_is_refused():
    with pytest.raises(LandscapeError, match="threshold of a basin is NaN"):
        basins(np.ones((2, 2)), [0, 1], [0, 1], {}, math.nan)


def test_the_default_threshold_lies_between_the_models_and_the_top():
    threshold, sentence = default_threshold([0.1, 0.09], 0.9)
    assert threshold == pytest.approx(0.18)
    assert "under 0.18: the models' own losses (at most 0.1) plus a tenth" in sentence


@pytest.mark.parametrize(
    ("own", "top", "expected", "reason"),
    [
        ([0.2, 0.1], 0.2, 0.4, "no barrier"),
        ([0.2, 0.1], math.nan, 0.4, "no finite top"),
        ([0.2, 0.1], math.inf, 0.4, "no finite top"),
        ([0.0, 0.0], 1.0, 0.1, "plus a tenth of the way to the top"),
    ],
)
def test_the_default_threshold_says_why_it_is_another(own, top, expected, reason):
    threshold, sentence = default_threshold(own, top)
    assert threshold == pytest.approx(expected)
    assert reason in sentence


def test_models_without_a_loss_give_no_threshold():
    with pytest.raises(LandscapeError, match="no basis for a threshold"):
        default_threshold([0.1, math.nan], 1.0)
