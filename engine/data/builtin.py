"""The MNIST images that ship with Basinscope: no network, no decoding.

`assets/mnist` holds all 10 000 test images in their original order and 10 000 training
images drawn with a stated seed, as compressed uint8 arrays. `build_builtin.py` writes them.
"""

from __future__ import annotations

import zipfile
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from engine.data.catalogue import DATASETS
from engine.data.dataset import RawData
from engine.data.parquet import file_sha256
from engine.errors import DataError

FOLDER = Path(__file__).resolve().parents[2] / "assets" / "mnist"


@lru_cache(maxsize=2)
def read_builtin(split: str, folder: Path = FOLDER) -> RawData:
    """Return a split of the built-in MNIST, uint8 [10000, 1, 28, 28].

    Raises:
        DataError: the file is missing from the installation or damaged.
    """
    path = folder / f"{split}.npz"
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            inputs, targets = stored["inputs"], stored["targets"].astype(np.int64)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(
            f"The built-in data {path.name} is missing or damaged ({error}); install Basinscope "
            "again, or rebuild it with `python -m engine.data.build_builtin`."
        ) from error
    classes = DATASETS["mnist"].classes
    images = torch.from_numpy(inputs).unsqueeze(1)
    return RawData(images, torch.from_numpy(targets), classes, file_sha256(path))
