from __future__ import annotations

import numpy as np
import pytest

from engine.landscape.progressive import FULL, SAMPLED, Known, estimate, next_round
from engine.landscape.progressive.refine import MOST_NODES, lattice
from tests.landscape.progressive.surfaces import SIDE, grid, refined, ridge, two_basins, values


def test_a_lattice_has_the_edges_and_fits_any_grid() -> None:
    assert lattice(33, 33, 5).tolist()[:5] == [0, 8, 16, 24, 32]
    assert len(lattice(33, 33, 9)) == 81
    rows, columns = np.divmod(lattice(20, 21, 5), 21)
    assert set(rows) == {0, 5, 10, 14, 19}
    assert set(columns) == {0, 5, 10, 15, 20}
    assert lattice(2, 3, 5).tolist() == [0, 1, 2, 3, 4, 5]


def test_the_sample_comes_first_and_is_corrected_at_once() -> None:
    places, asked = grid(), []
    known, found = Known.nothing(places), None
    for _ in range(3):
        wanted = next_round(known, found, (SIDE, SIDE), 0.1)
        assert wanted is not None
        asked.append((wanted.kind, len(wanted.index)))
        part = {k: v[wanted.index] for k, v in values(two_basins(places)).items()}
        known = known.with_values(wanted.kind, wanted.index, part)
        found = estimate(known)
    assert asked == [(SAMPLED, 25), (FULL, 25), (SAMPLED, 56)]


def test_points_are_put_where_the_error_is() -> None:
    known, _ = refined(ridge(grid()), None, stop=lambda known, _: known.has_full.sum() >= 100)
    u, v = grid()[known.has_full].T
    near = np.abs(u + 0.5 * v - 0.7) < 0.25
    everywhere = np.abs(grid()[:, 0] + 0.5 * grid()[:, 1] - 0.7) < 0.25
    assert near.mean() > 1.4 * everywhere.mean()


def test_points_of_a_round_keep_apart_and_are_not_asked_twice() -> None:
    places, seen = grid(), []
    known, found = Known.nothing(places), None
    for _ in range(4):
        wanted = next_round(known, found, (SIDE, SIDE), None)
        assert wanted is not None
        assert not set(wanted.index) & {point for index in seen for point in index}
        seen.append(wanted.index.tolist())
        part = {k: v[wanted.index] for k, v in values(two_basins(places)).items()}
        known = known.with_values(FULL, wanted.index, part)
        found = estimate(known)
    chosen = places[seen[1]]
    apart = np.linalg.norm(chosen[:, None] - chosen, axis=-1) + 9 * np.eye(len(chosen))
    assert apart.min() > 2 / (SIDE - 1)


def test_it_goes_on_to_every_point_and_then_ends() -> None:
    true = two_basins(grid(9, 11))
    known, found = refined(true, 1.1 * true, shape=(9, 11), stop=lambda *_: False)
    assert known.has_full.all()
    assert np.array_equal(found.values["loss"], true)
    assert found.quantile(1.0) == 0


def test_the_border_of_what_diverged_is_evaluated_first() -> None:
    places = grid()
    loss = np.where(places[:, 0] > 1.05, np.nan, two_basins(places))
    known, found = refined(loss, None, stop=lambda known, found: not np.isinf(found.error).any())
    assert known.has_full.sum() < 250
    assert np.array_equal(np.isnan(found.values["loss"]), np.isnan(loss))


def test_what_diverged_on_the_sample_is_not_asked_again_on_all_data() -> None:
    places = grid()
    loss = np.where(places[:, 0] > 0.2, np.nan, two_basins(places))
    known, found = refined(
        loss, loss, stop=lambda known, _: known.has_full.sum() and known.has_sample.sum() > 100
    )
    assert not (known.has_full & np.isnan(loss)).any()
    assert np.isnan(found.values["loss"][places[:, 0] > 0.4]).all()
    known, found = refined(loss, loss, stop=lambda *_: False)
    assert known.has_full.all()
    assert np.array_equal(found.values["loss"], loss, equal_nan=True)


def test_a_plane_that_diverged_everywhere_comes_to_its_end() -> None:
    loss = np.full(9 * 9, np.nan)
    known, _ = refined(loss, loss, shape=(9, 9), stop=lambda *_: False)
    assert known.has_full.all()


def test_the_rounds_follow_from_the_values_alone() -> None:
    first, second = (
        refined(ridge(grid()), None, stop=lambda known, _: known.has_full.sum() > 90)
        for _ in range(2)
    )
    assert np.array_equal(first[0].has_full, second[0].has_full)
    assert np.array_equal(first[1].values["loss"], second[1].values["loss"])


@pytest.mark.parametrize("rows", [2, 3])
def test_the_smallest_planes_are_evaluated_in_full(rows: int) -> None:
    true = two_basins(grid(rows, 2))
    known, found = refined(true, None, shape=(rows, 2), stop=lambda *_: False)
    assert known.has_full.all()
    assert np.array_equal(found.values["loss"], true)


def test_where_surfaces_would_cost_more_than_points_all_others_are_asked_at_once() -> None:
    places = grid(80, 80)
    done = np.arange(MOST_NODES + 1)
    part = {k: v[done] for k, v in values(two_basins(places)).items()}
    known = Known.nothing(places).with_values(FULL, done, part)
    wanted = next_round(known, None, (80, 80), None)
    assert wanted is not None
    assert wanted.kind == FULL
    assert wanted.index.tolist() == list(range(MOST_NODES + 1, 6400))
