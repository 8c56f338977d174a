"""Which executor the settings of this machine ask for.

`BASINSCOPE_RAY_ADDRESS` names a Ray cluster; `BASINSCOPE_PROCESSES` asks for that many processes
here. Without either, a machine with several GPUs uses one process for each, and any other
evaluates in the worker itself.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import torch

from engine.errors import RunError
from engine.runs.executors.cluster import OnRay
from engine.runs.executors.processes import InProcesses
from engine.studies.evaluation import InTurn, TileExecutor

RAY_ADDRESS = "BASINSCOPE_RAY_ADDRESS"
PROCESSES = "BASINSCOPE_PROCESSES"


def tile_executor(settings: Mapping[str, str] = os.environ) -> TileExecutor:
    """Return who evaluates tiles.

    Args:
        settings: environment variables.

    Raises:
        RunError: a setting cannot be used, or asks for Ray where it is not installed.
    """
    address, processes = settings.get(RAY_ADDRESS, ""), settings.get(PROCESSES, "")
    if address and processes:
        raise RunError(f"{RAY_ADDRESS} and {PROCESSES} are both set; unset one of them.")
    if address:
        return OnRay(address)
    if processes:
        if not processes.isdecimal() or int(processes) < 1:
            raise RunError(f"{PROCESSES}={processes!r} is no number of processes; give 1 or more.")
        return InTurn() if processes == "1" else InProcesses(int(processes))
    return InProcesses() if torch.cuda.device_count() > 1 else InTurn()
