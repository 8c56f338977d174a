"""A first look at a plane: a coarse grid on a sample, before all else, and in no result."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.landscape import make_plane
from engine.studies.compare import compare
from engine.studies.options import CompareOptions
from engine.studies.plane_look import look_tile
from engine.studies.plane_sample import PlaneSample
from engine.studies.tiles import MemoryTiles
from tests.studies.test_compare import DATA, checkpoint, dataset, loss_of, network

OPTIONS = CompareOptions(line_points=3, plane_points=9)
MANY = {split: dataset(split, samples=1000) for split in ("train", "test")}


@pytest.fixture(scope="module")
def pair():
    return checkpoint(network(0), "a.safetensors"), checkpoint(network(1), "b.safetensors")


class Ordered(MemoryTiles):
    """Remembers in which order tiles were put."""

    def __init__(self) -> None:
        super().__init__()
        self.keys: list[str] = []

    def put(self, key, arrays) -> None:
        self.keys.append(key)
        super().put(key, arrays)


@pytest.mark.parametrize(("columns", "rows"), [(33, 33), (25, 25), (21, 20), (3, 2)])
def test_it_is_spread_over_the_whole_grid(pair, columns, rows):
    plane = make_plane(
        *(network(seed).state_dict() for seed in range(3)),
        resolution=(columns, rows),
        extent=(-0.5, 1.5, -0.5, 1.5),
    )
    tile = look_tile(plane, "test")
    i, j = np.divmod(tile.index, columns)
    assert len(set(tile.index)) == len(tile.index) == min(columns, 5) * min(rows, 5)
    assert {i.min(), j.min(), i.max(), j.max()} == {0, rows - 1, columns - 1}
    if columns == rows:  # A and B are among them
        assert {(0.0, 0.0), (1.0, 0.0)} <= set(zip(plane.u[j], plane.v[i], strict=True))


@pytest.mark.parametrize("mode", ["full", "progressive"])
def test_it_is_there_first_and_on_a_drawn_sample(pair, mode):
    tiles = Ordered()
    found = compare(*pair, options=replace(OPTIONS, plane_mode=mode), data=MANY, tiles=tiles)
    assert next(key for key in tiles.keys if key != "matching") == "look-test"
    look = tiles.get("look-test")
    assert look is not None
    models = (pair[0].tensors, pair[1].tensors, found.pi_b)
    plane = make_plane(*models, resolution=9, extent=OPTIONS.extent)
    row = plane.coefficients[look["index"][7]].tolist()
    whole, known = loss_of(models, row, MANY["test"]), look["loss"][7]
    assert known != pytest.approx(whole, rel=1e-5)  # it is a sample's
    assert abs(known - whole) < 4 * look["loss_se"][7]
    after = next(key for key in tiles.keys if key.startswith(("plane-", "round", "curve-")))
    assert not after.startswith("curve-")


def test_no_number_of_the_result_comes_from_it(pair, monkeypatch):
    tiles = MemoryTiles()
    looked = compare(*pair, options=OPTIONS, data=MANY, tiles=tiles)
    monkeypatch.setattr(PlaneSample, "drawn", lambda *_: None)
    plain = compare(*pair, options=OPTIONS, data=MANY)
    assert looked.summary == plain.summary
    for name, array in looked.arrays.items():
        np.testing.assert_array_equal(array, plain.arrays[name])


def test_it_is_not_computed_again_and_not_for_few_samples(pair, monkeypatch):
    tiles = Ordered()
    compare(*pair, options=OPTIONS, data=MANY, tiles=tiles)
    compare(*pair, options=OPTIONS, data=MANY, tiles=tiles)
    assert tiles.keys.count("look-test") == 1
    few = Ordered()
    compare(*pair, options=OPTIONS, data=DATA, tiles=few)
    assert "look-test" not in few.keys
