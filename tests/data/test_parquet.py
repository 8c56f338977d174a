"""Reading image parquet files: exact pixels, the cache, and every refusal."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.data import parquet
from engine.data.catalogue import DATASETS
from engine.data.parquet import ParquetLimits, file_sha256, read_images
from engine.errors import DataError
from engine.home import home
from tests.data.images import cells, encoded, random_pixels, write_parquet

GREY = DATASETS["mnist-full"]
COLOUR = DATASETS["cifar100"]


@pytest.mark.parametrize("info", [GREY, COLOUR])
def test_pixels_and_labels_come_back_exactly(info, tmp_path):
    pixels = random_pixels(info, 7)
    path = write_parquet(tmp_path / "x.parquet", info, cells(pixels), [3, 1, 4, 1, 5, 9, 2])
    seen = []
    raw = read_images(path, info, progress=lambda *state: seen.append(state))
    assert np.array_equal(raw.inputs.numpy(), pixels)
    assert raw.targets.tolist() == [3, 1, 4, 1, 5, 9, 2]
    assert (raw.classes, raw.sha256) == (info.classes, file_sha256(path))
    assert seen == [("decode", 7, 7)]


def test_jpeg_cells_are_decoded(tmp_path):
    flat = np.full((32, 32, 3), 90, dtype=np.uint8)
    images = [{"bytes": encoded(flat, "JPEG"), "path": None}]
    raw = read_images(write_parquet(tmp_path / "x.parquet", COLOUR, images, [0]), COLOUR)
    assert (raw.inputs == 90).all()


def test_a_file_is_decoded_once(tmp_path, monkeypatch):
    path = write_parquet(tmp_path / "x.parquet", GREY, cells(random_pixels(GREY, 3)), [0, 1, 2])
    first = read_images(path, GREY)
    monkeypatch.setattr(parquet, "_decode", None)
    again = read_images(path, GREY)
    assert again.inputs.equal(first.inputs)
    assert again.targets.equal(first.targets)
    (kept,) = (home() / "decoded").iterdir()
    assert kept.name == f"{first.sha256}.npz"


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 no zip"])
def test_a_damaged_cache_is_decoded_again(tmp_path, damage):
    path = write_parquet(tmp_path / "x.parquet", GREY, cells(random_pixels(GREY, 2)), [0, 1])
    first = read_images(path, GREY)
    kept = home() / "decoded" / f"{first.sha256}.npz"
    kept.write_bytes(damage)
    assert read_images(path, GREY).inputs.equal(first.inputs)
    assert kept.stat().st_size > 100


GOOD = cells(random_pixels(GREY, 3))
SMALL = {"bytes": encoded(np.zeros((9, 8), dtype=np.uint8)), "path": ""}
CUT = {"bytes": GOOD[1]["bytes"][:60], "path": ""}


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        ([GOOD[0], None, GOOD[2]], [0, 1, 2], "x.parquet, row 1: the cell holds no image"),
        ([GOOD[0], {"bytes": b"", "path": ""}], [0, 1], "row 1: the cell holds no image"),
        ([GOOD[0], GOOD[1], {"bytes": b"GIF89a", "path": ""}], [0, 1, 2], "row 2: .* decoded"),
        ([GOOD[0], CUT], [0, 1], "row 1: the image cannot be decoded"),
        ([SMALL], [0], "row 0: the image is 8 × 9 pixels, not 28 × 28"),
        ([GOOD[0], GOOD[1]], [0, 10], "row 1: the label 10 is not one of 0 … 9"),
        ([GOOD[0]], [-1], "row 0: the label -1"),
        ([GOOD[0]], [None], "row 0: the label None"),
        ([], [], "x.parquet is empty"),
    ],
)
def test_corrupt_cells_are_named_by_row(images, labels, message, tmp_path):
    path = write_parquet(tmp_path / "x.parquet", GREY, images, labels)
    with pytest.raises(DataError, match=message):
        read_images(path, GREY)
    assert not (home() / "decoded").exists()


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (ParquetLimits(rows=2), "has 3 rows; at most 2"),
        (ParquetLimits(decoded_bytes=2000), "would decode to 2352 bytes; at most 2000"),
        (ParquetLimits(stored_bytes=100), "would unpack to .* at most 100"),
        (ParquetLimits(cell_bytes=100), "row 0: the image has .* at most 100"),
    ],
)
def test_caps_hold(limits, message, tmp_path):
    path = write_parquet(tmp_path / "x.parquet", GREY, GOOD, [0, 1, 2])
    with pytest.raises(DataError, match=message):
        read_images(path, GREY, limits=limits)


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "x.parquet"
    path.write_bytes(b"PAR1 is not enough PAR1")
    with pytest.raises(DataError, match=r"x\.parquet is no readable parquet file"):
        read_images(path, GREY)


def test_a_damaged_page_is_refused(tmp_path):
    path = write_parquet(tmp_path / "x.parquet", GREY, GOOD, [0, 1, 2])
    content = bytearray(path.read_bytes())
    content[4:120] = bytes(116)
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"x\.parquet is a damaged parquet file"):
        read_images(path, GREY)


@pytest.mark.parametrize(("declared", "message"), [(2, "more rows than the 2"), (4, "declares 4")])
def test_a_wrong_row_count_is_refused(declared, message, tmp_path, monkeypatch):
    path = write_parquet(tmp_path / "x.parquet", GREY, GOOD, [0, 1, 2])
    monkeypatch.setattr(parquet, "_check", lambda *_: declared)
    with pytest.raises(DataError, match=message):
        read_images(path, GREY)


def test_columns_are_looked_at(tmp_path):
    path = write_parquet(tmp_path / "x.parquet", GREY, GOOD, [0, 1, 2])
    with pytest.raises(DataError, match="no column 'img'; it has image, label"):
        read_images(path, COLOUR)
    pq.write_table(pa.table({"image": [1, 2], "label": [0, 1]}), path)
    with pytest.raises(DataError, match="'image' holds int64, not images"):
        read_images(path, replace(GREY, classes=2))
