"""The files of one model that were brought together: weights, whole or in shards, and a config.

What a folder holds by chance, a bundle holds on purpose: a config.json that describes nothing is
refused here, as are two weight files, where a folder's reader would pass them by. Other files of
a model's folder (tokenizer, generation settings) may come along and are not looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engine.checkpoints.checkpoint import Checkpoint
from engine.checkpoints.config_file import CONFIG_NAME, read_config
from engine.checkpoints.folder import (
    INDEX_SUFFIX,
    SUFFIXES,
    WHOLE,
    folder_files,
    parse_index,
    read_sharded,
)
from engine.checkpoints.header import Header
from engine.checkpoints.header_folder import described
from engine.checkpoints.limits import Limits
from engine.checkpoints.read import opened, read_checkpoint
from engine.errors import CheckpointError

MOST_NAMED = 6


@dataclass(frozen=True)
class Bundle:
    """Which of several files are a model: its weights, or the index of their shards; its config."""

    weights: str
    config: str | None = None

    @property
    def name(self) -> str:
        """What messages and results call the model."""
        return self.weights.removesuffix(".index.json")


def sort_bundle(files: Iterable[str]) -> Bundle:
    """Return which files are the weights and the config.

    Raises:
        CheckpointError: There are no weights, several, or several files that may be the config.
    """
    files = sorted(files)
    described = [f for f in files if f.endswith(".json") and not f.endswith(".index.json")]
    config = CONFIG_NAME if CONFIG_NAME in described else next(iter(described), None)
    if config != CONFIG_NAME and len(described) > 1:
        raise CheckpointError(
            f"{_listed(described)}: none of them is called {CONFIG_NAME}; bring the one that lies "
            "beside the weights"
        )
    indices = [file for file in files if file.endswith(INDEX_SUFFIX)]
    weights = indices or [file for file in files if file.endswith(SUFFIXES)]
    if WHOLE in weights:
        weights = [WHOLE]
    if not weights:
        raise CheckpointError(
            f"{_listed(files)}: no weights are among the files; bring them together with "
            f"{CONFIG_NAME}: {WHOLE}, or all shards with their index"
        )
    if len(weights) > 1:
        raise CheckpointError(
            f"{_listed(weights)}: these are the weights of several networks; keep one here, and "
            "bring shards together with their index (…safetensors.index.json)"
        )
    return Bundle(weights[0], config)


def read_bundle(folder: Path) -> Checkpoint:
    """Return the checkpoint in a folder that holds the files of one bundle.

    Raises:
        CheckpointError: As `sort_bundle` and `read_folder`; or the config describes nothing.
        LimitError: The files declare more than the caps allow.
    """
    bundle, config = _opened(folder)
    path = folder / bundle.weights
    if bundle.weights.endswith(INDEX_SUFFIX):
        return read_sharded(path, bundle.name, Limits(), config)
    checkpoint = read_checkpoint(path, name=bundle.name, config=config)
    if checkpoint.graph is None or config is None:
        return checkpoint
    aside = f"{bundle.config} was left aside: a .pt2 says all of its architecture itself."
    return replace(checkpoint, notes=(*checkpoint.notes, aside))


def read_bundle_header(folder: Path) -> Header:
    """Return what the headers of a bundle's files show; errors are those of `read_bundle`."""
    bundle, config = _opened(folder)
    return described(folder / bundle.weights, bundle.name, config)


def _opened(folder: Path) -> tuple[Bundle, Mapping[str, Any] | None]:
    files = folder_files(folder, "the files")
    bundle = sort_bundle(files)
    if bundle.weights.endswith(INDEX_SUFFIX):
        _check_complete(folder / bundle.weights, bundle.name, files)
    if bundle.config is None:
        return bundle, None
    config = read_config(folder / bundle.config)
    if config is None:
        raise CheckpointError(
            f"{bundle.config}: it names no model_type, so that it describes no architecture; "
            "bring the config.json that Hugging Face wrote beside the weights, or the weights alone"
        )
    return bundle, config


def _check_complete(index: Path, name: str, files: Iterable[str]) -> None:
    limits = Limits()
    with opened(index, index.name) as (file, _):
        shards = set(parse_index(file.read(limits.header_bytes + 1), limits).values())
    if missing := sorted(shards - set(files)):
        raise CheckpointError(
            f"{name}: {len(missing)} of its {len(shards)} shards did not come along "
            f"({_listed(missing)}); bring all of them together with the index"
        )


def _listed(names: list[str]) -> str:
    text = ", ".join(names[:MOST_NAMED])
    return text if len(names) <= MOST_NAMED else f"{text} and {len(names) - MOST_NAMED} more"
