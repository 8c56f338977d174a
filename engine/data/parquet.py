"""Image data sets in the Hub's parquet layout, decoded once and cached.

A cell of the image column is `{bytes, path}` with a PNG or JPEG inside. The decoded uint8
array is kept under `BASINSCOPE_HOME/decoded/<sha256 of the parquet file>.npz`, so that the
seconds of decoding are paid once per file. Every image must have the data set's own size:
sizes are looked at before any pixel is decoded.
"""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image, UnidentifiedImageError

from engine.data.catalogue import DatasetInfo
from engine.data.dataset import RawData
from engine.errors import DataError
from engine.home import home

Progress = Callable[[str, int, int], None]

_BATCH = 500


@dataclass(frozen=True)
class ParquetLimits:
    """Caps that are looked at before anything is allocated."""

    rows: int = 500_000
    decoded_bytes: int = 2 << 30
    stored_bytes: int = 4 << 30
    cell_bytes: int = 16 << 20


def read_images(
    path: Path,
    info: DatasetInfo,
    *,
    sha256: str | None = None,
    limits: ParquetLimits | None = None,
    progress: Progress | None = None,
) -> RawData:
    """Read an image parquet file, from the cache of decoded files where it is there.

    Args:
        path: the parquet file.
        info: the catalogue entry: columns, image shape, classes.
        sha256: the file's hash where it is already known.
        limits: caps on rows and bytes.
        progress: called with ("decode", rows done, rows in all).

    Raises:
        DataError: the file is no such parquet, too large, or a row is corrupt (named).
    """
    digest = sha256 or file_sha256(path)
    cached = cached_images(digest, info)
    if cached is None:
        cached = _decode(path, info, limits or ParquetLimits(), progress)
        _store(digest, *cached)
    inputs, targets = cached
    return RawData(torch.from_numpy(inputs), torch.from_numpy(targets), info.classes, digest)


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file's bytes as hexadecimal text."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cached_images(sha256: str, info: DatasetInfo) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the decoded (inputs, targets) of a file by its hash, or None."""
    path = _cache_path(sha256)
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            inputs, targets = stored["inputs"], stored["targets"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None  # absent or damaged: it is decoded again
    fits = inputs.dtype == np.uint8 and inputs.shape == (len(targets), *info.shape)
    return (inputs, targets) if fits else None


def _cache_path(sha256: str) -> Path:
    return home() / "decoded" / f"{sha256}.npz"


def _store(sha256: str, inputs: np.ndarray, targets: np.ndarray) -> None:
    path = _cache_path(sha256)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, inputs=inputs, targets=targets)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _decode(
    path: Path, info: DatasetInfo, limits: ParquetLimits, progress: Progress | None
) -> tuple[np.ndarray, np.ndarray]:
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path.name} is no readable parquet file: {error}") from error
    with file:
        rows = _check(file, path.name, info, limits)
        inputs = np.empty((rows, *info.shape), dtype=np.uint8)
        targets = np.empty(rows, dtype=np.int64)
        count = 0
        for image, label in _cells(file, path.name, info):
            if count == rows:
                raise DataError(f"{path.name} holds more rows than the {rows} that it declares.")
            inputs[count] = _pixels(image, f"{path.name}, row {count}", info, limits)
            targets[count] = _label(label, f"{path.name}, row {count}", info)
            count += 1
            if progress is not None and (count % _BATCH == 0 or count == rows):
                progress("decode", count, rows)
    if count != rows:
        raise DataError(f"{path.name} declares {rows} rows but holds {count}.")
    return inputs, targets


def _check(file: pq.ParquetFile, name: str, info: DatasetInfo, limits: ParquetLimits) -> int:
    schema = file.schema_arrow
    for column in (info.image_column, info.label_column):
        if column not in schema.names:
            raise DataError(
                f"{name} has no column '{column}'; it has {', '.join(schema.names) or 'none'}."
            )
    image_type = schema.field(info.image_column).type
    if not pa.types.is_struct(image_type) or image_type.get_field_index("bytes") < 0:
        raise DataError(
            f"{name}: the column '{info.image_column}' holds {image_type}, not images "
            "stored as {bytes, path}."
        )
    rows = file.metadata.num_rows
    if rows < 1:
        raise DataError(f"{name} is empty.")
    if rows > limits.rows:
        raise DataError(f"{name} has {rows} rows; at most {limits.rows} are read.")
    decoded = rows * int(np.prod(info.shape))
    if decoded > limits.decoded_bytes:
        raise DataError(
            f"{name} would decode to {decoded} bytes; at most {limits.decoded_bytes} are kept."
        )
    groups = range(file.metadata.num_row_groups)
    stored = sum(file.metadata.row_group(index).total_byte_size for index in groups)
    if stored > limits.stored_bytes:
        raise DataError(
            f"{name} would unpack to {stored} bytes; at most {limits.stored_bytes} are read."
        )
    return rows


def _cells(file: pq.ParquetFile, name: str, info: DatasetInfo) -> Iterator[tuple[object, object]]:
    columns = [info.image_column, info.label_column]
    try:
        for batch in file.iter_batches(_BATCH, columns=columns, use_threads=False):
            images = batch.column(info.image_column).to_pylist()
            labels = batch.column(info.label_column).to_pylist()
            yield from zip(images, labels, strict=True)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{name} is a damaged parquet file: {error}") from error


def _pixels(cell: object, where: str, info: DatasetInfo, limits: ParquetLimits) -> np.ndarray:
    data = cell.get("bytes") if isinstance(cell, dict) else None
    if not isinstance(data, bytes) or not data:
        raise DataError(f"{where}: the cell holds no image.")
    if len(data) > limits.cell_bytes:
        raise DataError(
            f"{where}: the image has {len(data)} bytes; at most {limits.cell_bytes} are read."
        )
    channels, height, width = info.shape
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # size warnings: the size is checked below
            image = Image.open(io.BytesIO(data), formats=("PNG", "JPEG"))
        if image.size != (width, height):
            raise DataError(
                f"{where}: the image is {image.size[0]} × {image.size[1]} pixels, "
                f"not {width} × {height}."
            )
        pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError) as error:
        raise DataError(f"{where}: the image cannot be decoded.") from error
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


def _label(label: object, where: str, info: DatasetInfo) -> int:
    if not isinstance(label, int) or not 0 <= label < info.classes:
        raise DataError(f"{where}: the label {label} is not one of 0 … {info.classes - 1}.")
    return label
