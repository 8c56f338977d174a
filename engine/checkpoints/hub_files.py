"""Which file of a repository on the Hub holds the weights."""

from __future__ import annotations

import re
from collections.abc import Iterable

from engine.checkpoints.folder import INDEX_SUFFIX, SUFFIXES, WHOLE
from engine.checkpoints.reference import Reference
from engine.errors import HubError

#: Files of training code that carry a weight file's extension.
_NO_WEIGHTS = re.compile(r"(training_args|optimizer|scheduler|scaler|rng_state.*)\.(bin|pt|pth)")


def choose_file(wanted: Reference, files: list[str]) -> str:
    """Return the file that holds the weights, or the index of their shards, where that is plain.

    Raises:
        HubError: None does, or several do.
    """
    if WHOLE in files:
        return WHOLE
    weights = [
        file
        for file in files
        if file.endswith(SUFFIXES) and not _NO_WEIGHTS.fullmatch(file.rpartition("/")[2])
    ]
    indices = [file for file in files if file.endswith((INDEX_SUFFIX, ".bin.index.json"))]
    if indices and indices[0].endswith(INDEX_SUFFIX):
        return indices[0]
    if indices:
        raise HubError(
            f"{wanted}: its weights are sharded ({indices[0]}) and pickled, which is not read; "
            "convert the shards to safetensors"
        )
    if len(weights) == 1:
        return weights[0]
    if weights:
        raise HubError(
            f"{wanted}: it has several weight files; name one of them after a colon: "
            f"{listed(weights)}"
        )
    raise HubError(f"{wanted}: it has no weight file; it has {listed(files)}")


def listed(files: Iterable[str], most: int = 12) -> str:
    """Join names for a message; say how many more there are."""
    names = list(files)
    if not names:
        return "no files at all"
    text = ", ".join(names[:most])
    return text if len(names) <= most else f"{text} and {len(names) - most} more"
