"""Evaluation and training sets as tensors, from the repository, the Hub, a mirror or a file.

Names are imported on first use, so that the torch-free catalogue costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.data.catalogue import DATASETS, DatasetInfo
    from engine.data.dataset import Dataset
    from engine.data.fit import fit_data, fit_inputs
    from engine.data.load import load_dataset

_HOMES = {
    "DATASETS": "engine.data.catalogue",
    "Dataset": "engine.data.dataset",
    "DatasetInfo": "engine.data.catalogue",
    "fit_data": "engine.data.fit",
    "fit_inputs": "engine.data.fit",
    "load_dataset": "engine.data.load",
}

__all__ = ["DATASETS", "Dataset", "DatasetInfo", "fit_data", "fit_inputs", "load_dataset"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
