"""Merging: many models brought into one frame and averaged, over the shared problem of matching.

Names are imported on first use, so that the torch-free catalogue of methods costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.merging.alignment import Alignment
    from engine.merging.averaged import average
    from engine.merging.consistent import match_consistently
    from engine.merging.many import merge_many
    from engine.merging.methods import MERGES, Merge
    from engine.merging.run import align, merge_obstacle

_HOMES = {
    "alignment": ("Alignment",),
    "averaged": ("average",),
    "consistent": ("match_consistently",),
    "many": ("merge_many",),
    "methods": ("MERGES", "Merge"),
    "run": ("align", "merge_obstacle"),
}

__all__ = [
    # methods
    "MERGES",
    "Merge",
    "align",
    "match_consistently",
    "merge_many",
    "merge_obstacle",
    # results
    "Alignment",
    "average",
]


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"engine.merging.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
