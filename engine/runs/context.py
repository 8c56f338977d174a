"""What a job is given and what it hands back: the only things that a job and a worker share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from engine.runs.events import Event
from engine.runs.store import Store
from engine.runs.tiles import TileCache


@dataclass(frozen=True)
class JobContext:
    """What a job may use.

    Attributes:
        store: where its inputs are stored.
        run_id: the run.
        tiles: its finished pieces; what is found there need not be computed.
        progress: takes events: `{"kind": "stage", "stage": str, "fraction": 0..1, "eta":
            seconds or None}` shows in the run's status, every other kind is passed on.
        should_stop: True when the job should raise `CancelledError` at the next good place;
            cheap, to be asked between tiles and sweeps.
    """

    store: Store
    run_id: str
    tiles: TileCache
    progress: Callable[[Event], None]
    should_stop: Callable[[], bool]


@dataclass(frozen=True)
class JobResult:
    """What a job has found.

    Attributes:
        summary: JSON values; NaN and infinities become null.
        arrays: by name, for `result.npz`. With `summary`, they depend on the spec alone.
        files: further files: name → function that writes it to the path it is given.
        provenance: device, versions, seconds: what no number depends on.
    """

    summary: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    files: Mapping[str, Callable[[Path], object]] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)


Job = Callable[[Any, JobContext], JobResult]
Jobs = Mapping[str, Job]
