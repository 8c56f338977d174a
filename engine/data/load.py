"""One entry to all data: a catalogue name or a file, a split, a sample, a normalisation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from engine.data.builtin import read_builtin
from engine.data.catalogue import DATASETS, NO_MEAN, NO_STD
from engine.data.dataset import Dataset, RawImages, build_dataset
from engine.data.hub import find_parquet, pinned
from engine.data.parquet import Progress, cached_images, read_images
from engine.data.uploaded import SUFFIXES, read_uploaded
from engine.errors import DataError


def load_dataset(
    name: str | Path,
    split: str = "test",
    *,
    samples: int | None = None,
    seed: int = 0,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """Load a data set, whole or a drawn sample of it, normalised to float32.

    Args:
        name: a name of `DATASETS`, or the path of a .npz or .safetensors file with `inputs`
            and `targets`; such a file is one set, whatever split is named.
        split: "train" or "test".
        samples: at most how many, drawn without replacement; None takes all in their order.
        seed: of the draw.
        mean, std: one number or one per channel, applied after division of uint8 by 255;
            None takes the catalogue's (a file's default is 0 and 1).
        progress: called with (stage, done, total): "download" in bytes, "decode" in rows.

    Raises:
        DataError: unknown name or split, unreadable data, impossible sample, or complete
            data that is neither on this machine nor reachable.
    """
    default_mean, default_std = default_normalisation(name)
    return build_dataset(
        read_raw(name, split, progress=progress),
        name=str(name) if str(name) in DATASETS else Path(name).name,
        split=split,
        samples=samples,
        seed=seed,
        mean=default_mean if mean is None else mean,
        std=default_std if std is None else std,
    )


def default_normalisation(name: str | Path) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the (mean, std) used for a data set unless another is given."""
    info = DATASETS.get(str(name))
    return (info.mean, info.std) if info is not None else (NO_MEAN, NO_STD)


def read_raw(name: str | Path, split: str, *, progress: Progress | None = None) -> RawImages:
    """Read a split as stored, neither drawn nor normalised; arguments as `load_dataset`.

    Raises:
        DataError: as `load_dataset`.
    """
    if str(name) in DATASETS:
        return read_named(str(name), split, progress=progress)
    return read_uploaded(_as_file(name))


def read_named(name: str, split: str, *, progress: Progress | None = None) -> RawImages:
    """Read a catalogue data set's split as stored: uint8 images and labels.

    Raises:
        DataError: no such name or split, or the data cannot be read.
    """
    info = DATASETS.get(name)
    if info is None:
        raise DataError(f"There is no data set '{name}'; there are {', '.join(DATASETS)}.")
    if split not in info.splits:
        raise DataError(f"{info.title} has no split '{split}'; it has {', '.join(info.splits)}.")
    if info.builtin:
        return read_builtin(split)
    pin = pinned(info, split)
    if pin is not None and cached_images(pin.sha256, info) is not None:
        return read_images(Path(), info, sha256=pin.sha256)
    path, sha256 = find_parquet(info, split, progress=progress)
    return read_images(path, info, sha256=sha256, progress=progress)


def _as_file(name: str | Path) -> Path:
    path = Path(name).expanduser()
    if path.is_file():
        return path
    if path.suffix in SUFFIXES:
        raise DataError(f"There is no file {name}.")
    raise DataError(
        f"There is no data set '{name}'; there are {', '.join(DATASETS)}, or the path of a "
        f"{' or '.join(SUFFIXES)} file with `inputs` and `targets`."
    )
