"""Tells a caller how far a study is: stages, sweeps, tiles, and the time left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

from engine.studies.result import json_ready

Event = Mapping[str, object]
Progress = Callable[[Event], None]

# Share of the whole at which each stage begins; the evaluation of tiles takes the rest.
BEGINS = {
    "recognise": 0.0,
    "data": 0.02,
    "symmetry": 0.05,
    "proof": 0.08,
    "match": 0.10,
    "equivalence": 0.18,
    "evaluate": 0.20,
    "done": 1.0,
}


class Stages:
    """Reports events and measures how long each stage took."""

    def __init__(
        self, progress: Progress | None, begins: Mapping[str, float] = MappingProxyType(BEGINS)
    ) -> None:
        self._progress, self._begins = progress or (lambda event: None), begins
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Report that a stage begins and keep the seconds that it takes."""
        self.report({"kind": "stage", "stage": name, "fraction": self._begins[name], "eta": None})
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start

    def report(self, event: Event) -> None:
        """Hand one event to the caller."""
        self._progress(event)

    def sweep(self, number: int, objective: float) -> None:
        """Report the matching's objective after a sweep."""
        self.report({"kind": "sweep", "sweep": number, "objective": objective})

    def partial(self, parts: Mapping[str, object]) -> None:
        """Report parts of the summary that are known already."""
        self.report({"kind": "partial", "summary": json_ready(parts)})

    def done(self) -> None:
        """Report that everything is finished."""
        self.report({"kind": "stage", "stage": "done", "fraction": 1.0, "eta": 0.0})


class Countdown:
    """Estimates the time left from the points already evaluated in this process.

    Args:
        stages: who is told.
        total, total_tiles: points and tiles to be evaluated.
        begin: the share of the whole study at which the evaluation begins.
    """

    def __init__(
        self, stages: Stages, total: int, total_tiles: int, begin: float = BEGINS["evaluate"]
    ) -> None:
        self._stages, self._begin = stages, begin
        self._total = max(total, 1)
        self._total_tiles = total_tiles
        self._done = 0
        self._computed = 0
        self._tiles = 0
        self._start = time.perf_counter()

    def point(self, stage: str) -> None:
        """Count one evaluated point."""
        self._done += 1
        self._computed += 1
        self._report(stage)

    def tile(self, stage: str, key: str, cached_points: int) -> None:
        """Count a finished tile; `cached_points` of it were found, not computed."""
        self._done += cached_points
        self._tiles += 1
        self._stages.report(
            {"kind": "tile", "key": key, "done": self._tiles, "total": self._total_tiles}
        )
        self._report(stage)

    def _report(self, stage: str) -> None:
        share = self._done / self._total
        eta = None
        if self._computed:
            rate = (time.perf_counter() - self._start) / self._computed
            eta = rate * (self._total - self._done)
        fraction = self._begin + (1 - self._begin) * min(share, 1.0)
        self._stages.report({"kind": "stage", "stage": stage, "fraction": fraction, "eta": eta})
