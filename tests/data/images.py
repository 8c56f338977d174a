"""Tiny parquet files in the Hub's layout, for the data tests."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from engine.data.catalogue import DatasetInfo

IMAGE_TYPE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def encoded(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    """Return a uint8 [H, W] or [H, W, 3] array as the bytes of an image file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def random_pixels(info: DatasetInfo, count: int, seed: int = 0) -> np.ndarray:
    """Return uint8 images [count, C, H, W]."""
    return np.random.default_rng(seed).integers(0, 256, (count, *info.shape), dtype=np.uint8)


def cells(pixels: np.ndarray) -> list[dict[str, object]]:
    """Return parquet cells of images [N, C, H, W]."""
    layout = [image[0] if len(image) == 1 else image.transpose(1, 2, 0) for image in pixels]
    return [{"bytes": encoded(image), "path": f"{i}.png"} for i, image in enumerate(layout)]


def write_parquet(
    path: Path,
    info: DatasetInfo,
    images: Sequence[dict[str, object] | None],
    labels: Sequence[int | None],
) -> Path:
    """Write one split's parquet file and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table(
        {
            info.image_column: pa.array(images, IMAGE_TYPE),
            info.label_column: pa.array(labels, pa.int64()),
        }
    )
    pq.write_table(table, path)
    return path


def write_mirror(root: Path, info: DatasetInfo, count: int = 12) -> dict[str, np.ndarray]:
    """Write both splits below `root` in the Hub's layout; return split → pixels."""
    written = {}
    for seed, split in enumerate(info.splits):
        pixels = random_pixels(info, count, seed)
        path = root / info.repo / info.folder / f"{split}-00000-of-00001.parquet"
        write_parquet(path, info, cells(pixels), [i % info.classes for i in range(count)])
        written[split] = pixels
    return written
