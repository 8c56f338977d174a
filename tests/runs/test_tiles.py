"""Tiles: kept, found again bit for bit, computed again when damaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.errors import RunError
from engine.runs import DiskTiles
from engine.runs.tiles import fits


@pytest.fixture
def tiles(tmp_path: Path) -> DiskTiles:
    return DiskTiles(tmp_path / "tiles")


def test_a_tile_comes_back_bit_for_bit(tiles: DiskTiles) -> None:
    loss = np.array([0.1, np.nan, np.inf, -0.0])
    tiles.put("plane-test-0001", {"loss": loss, "index": np.arange(4)})
    found = tiles.get("plane-test-0001")
    assert found is not None
    assert found["loss"].tobytes() == loss.tobytes()
    assert found["index"].dtype == np.arange(4).dtype
    assert tiles.keys() == ("plane-test-0001",)


def test_an_unfinished_tile_is_none(tiles: DiskTiles) -> None:
    assert tiles.get("plane-test-0001") is None
    assert tiles.keys() == ()


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty", "pickle"])
def test_a_damaged_tile_is_computed_again(
    tiles: DiskTiles, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    tiles.put("t", {"loss": np.arange(50.0)})
    path = tiles.folder / "t.npz"
    data = bytearray(path.read_bytes())
    if damage == "flip":
        data[len(data) // 2] ^= 0xFF
    elif damage == "truncate":
        del data[len(data) // 2 :]
    elif damage == "empty":
        data.clear()
    else:
        np.savez(path, loss=np.array([{"x": 1}], dtype=object))
        data = bytearray(path.read_bytes())
    path.write_bytes(data)
    assert tiles.get("t") is None
    assert not path.exists()
    assert "tile t is computed again" in caplog.text


@pytest.mark.parametrize("key", ["", "../x", "a/b", ".hidden", "x" * 101, "ä", "a\n"])
def test_a_key_is_no_path(tiles: DiskTiles, key: str) -> None:
    with pytest.raises(RunError, match="is no tile: letters, digits"):
        tiles.get(key)
    with pytest.raises(RunError, match="is no tile"):
        tiles.put(key, {})


def test_equal_tiles_have_equal_bytes(tiles: DiskTiles) -> None:
    tiles.put("a", {"x": np.arange(3), "y": np.ones(2)})
    tiles.put("b", {"y": np.ones(2), "x": np.arange(3)})
    assert (tiles.folder / "a.npz").read_bytes() == (tiles.folder / "b.npz").read_bytes()


def test_half_written_files_are_no_tiles(tiles: DiskTiles) -> None:
    tiles.put("a", {"x": np.arange(3)})
    (tiles.folder / ".x.part.npz").write_bytes(b"half")
    assert tiles.keys() == ("a",)


def test_points_outside_a_grid_and_what_is_no_index_do_not_fit():
    assert fits(np.array([0, 3]), 4)
    assert fits(np.array([], dtype=np.int64), 4)
    for index in (None, np.array([4]), np.array([-1]), np.array([[1]]), np.array([1.0])):
        assert not fits(index, 4)
