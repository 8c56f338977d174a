"""A test's own kind of run: slow tiles that depend on the spec alone, and ways to go wrong.

A worker takes it with `--jobs tests.runs.slow_jobs`. No torch, so that workers start fast.
"""

from __future__ import annotations

import os
import signal
import time
from typing import ClassVar, Literal

import numpy as np

from engine.errors import CancelledError, DataError
from engine.runs.context import JobContext, JobResult
from engine.runs.spec import Spec, register_spec


@register_spec
class SlowSpec(Spec):
    """`tiles` tiles of `delay` seconds; then `end` says how it ends."""

    lane: ClassVar[str] = "compute"
    kind: Literal["slow"] = "slow"
    version: Literal[1] = 1
    seed: int = 0
    tiles: int = 3
    delay: float = 0.0
    end: Literal["well", "killed", "deaf", "refused", "bug", "starved", "starved-torch"] = "well"


def slow(spec: SlowSpec, context: JobContext) -> JobResult:
    """Make tiles, keep them, and put them together."""
    found = []
    for number in range(spec.tiles):
        if context.should_stop():
            raise CancelledError("cancelled")
        key = f"tile-{number:04d}"
        tile = context.tiles.get(key)
        if tile is None:
            time.sleep(spec.delay)
            generator = np.random.default_rng([spec.seed, number])
            tile = {"values": generator.normal(size=100)}
            context.tiles.put(key, tile)
            context.progress({"kind": "computed", "key": key})
        found.append(tile["values"])
        fraction = (number + 1) / spec.tiles
        context.progress({"kind": "stage", "stage": "tiles", "fraction": fraction, "eta": 1.5})
    _end(spec.end)
    values = np.concatenate(found) if found else np.zeros(0)
    return JobResult(
        summary={"mean": float(values.mean()) if found else float("nan"), "seed": spec.seed},
        arrays={"values": values},
        files={"note.txt": lambda path: path.write_text("made")},
        provenance={"pid": os.getpid()},
    )


def _end(end: str) -> None:
    match end:
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "deaf":
            time.sleep(600)
        case "refused":
            raise DataError("The data of tile 3 are upside down; turn them.")
        case "bug":
            raise ZeroDivisionError("a secret path /etc/x")
        case "starved":
            raise MemoryError
        case "starved-torch":
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried …")


JOBS = {"slow": slow}
