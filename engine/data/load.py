"""One entry to all data: a catalogue name or a file, a split, a sample, a normalisation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from engine.data.builtin import read_builtin
from engine.data.catalogue import DATASETS, NO_MEAN, NO_STD
from engine.data.dataset import Dataset, RawData, build_dataset
from engine.data.fit import ModelInput, arrange
from engine.data.hub import find_parquet, pinned
from engine.data.modular import read_modular
from engine.data.parquet import Progress, cached_images, read_images
from engine.data.text import refuse_other_vocabularies
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
    model_inputs: Sequence[ModelInput] | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """Load a data set, whole or a drawn sample of it; images are normalised to float32.

    Args:
        name: a name of `DATASETS`, or the path of a .npz or .safetensors file with `inputs`
            and `targets`, or of a .txt file; such a file is one set, whatever split is named.
        split: "train" or "test".
        samples: at most how many, drawn without replacement; None takes all in their order.
        seed: of the draw.
        mean, std: one number or one per channel, applied after division of uint8 by 255;
            None takes the catalogue's (a file's default is 0 and 1).
        model_inputs: what the model takes (`Program.inputs`): the order of several inputs,
            whether bytes are token ids, and how long the sequences of a text are.
        progress: called with (stage, done, total): "download" in bytes, "decode" in rows.

    Raises:
        DataError: unknown name or split, unreadable data, impossible sample, or complete
            data that is neither on this machine nor reachable.
    """
    default_mean, default_std = default_normalisation(name)
    own = str(name) not in DATASETS
    title = Path(name).name if own else str(name)
    raw = read_raw(name, split, model_inputs=model_inputs, progress=progress)
    return build_dataset(
        arrange(raw, model_inputs, title) if own and model_inputs is not None else raw,
        name=title,
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


def read_raw(
    name: str | Path,
    split: str,
    *,
    model_inputs: Sequence[ModelInput] | None = None,
    progress: Progress | None = None,
) -> RawData:
    """Read a split as stored, neither drawn nor normalised; arguments as `load_dataset`.

    Raises:
        DataError: as `load_dataset`.
    """
    if str(name) in DATASETS:
        return read_named(str(name), split, progress=progress)
    path = _as_file(name)
    length = None
    if path.suffix == ".txt" and model_inputs:
        spec = model_inputs[0]
        if not spec.dtype.is_floating_point:
            length = spec.shape[0] if len(spec.shape) == 1 else None
            refuse_other_vocabularies(path, spec.high)
    return read_uploaded(path, length=length)


def read_named(name: str, split: str, *, progress: Progress | None = None) -> RawData:
    """Read a catalogue data set's split as stored: uint8 images and labels, or tokens.

    Raises:
        DataError: no such name or split, or the data cannot be read.
    """
    info = DATASETS.get(name)
    if info is None:
        raise DataError(f"There is no data set '{name}'; there are {', '.join(DATASETS)}.")
    if split not in info.splits:
        raise DataError(f"{info.title} has no split '{split}'; it has {', '.join(info.splits)}.")
    if info.kind == "tokens":
        return read_modular(split)
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
        f"{' or '.join(SUFFIXES[:-1])} file with `inputs` and `targets`, or a "
        f"{SUFFIXES[-1]} file."
    )
