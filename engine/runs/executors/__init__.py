"""Who evaluates the tiles of a run: this process, several here, or a Ray cluster."""

from __future__ import annotations

from engine.runs.executors.choose import tile_executor
from engine.runs.executors.cluster import OnRay
from engine.runs.executors.processes import InProcesses

__all__ = ["InProcesses", "OnRay", "tile_executor"]
