"""Repair: what is done to a merged model after matching, and the ensemble that it is held against.

Names are imported on first use, so that the torch-free catalogue of repairs costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.repair.averaged import Ensemble, ensemble
    from engine.repair.calibration import calibration_error
    from engine.repair.catalogue import REPAIRS, Repair, RepairNeeds
    from engine.repair.line import repaired_line
    from engine.repair.points import PointRepair
    from engine.repair.run import Repaired, obstacle, repair
    from engine.repair.workshop import Workshop

_HOMES = {
    "averaged": ("Ensemble", "ensemble"),
    "calibration": ("calibration_error",),
    "catalogue": ("REPAIRS", "Repair", "RepairNeeds"),
    "line": ("repaired_line",),
    "points": ("PointRepair",),
    "run": ("Repaired", "obstacle", "repair"),
    "workshop": ("Workshop",),
}

__all__ = [
    # repairs
    "REPAIRS",
    "PointRepair",
    "Repair",
    "RepairNeeds",
    "Repaired",
    "Workshop",
    "obstacle",
    "repair",
    "repaired_line",
    # what they are held against
    "Ensemble",
    "calibration_error",
    "ensemble",
]


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"engine.repair.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
