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
    "look": 0.17,
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
        begin, end: the shares of the whole study at which the evaluation begins and ends.
    """

    def __init__(
        self,
        stages: Stages,
        total: int,
        total_tiles: int,
        begin: float = BEGINS["evaluate"],
        end: float = 1.0,
    ) -> None:
        self._stages, self._begin, self._end = stages, begin, end
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
        fraction = self._begin + (self._end - self._begin) * min(share, 1.0)
        self._stages.report({"kind": "stage", "stage": stage, "fraction": fraction, "eta": eta})


class Share:
    """Tells how far one stage is from the share of it that is done, and how long it will take.

    Args:
        stages: who is told.
        stage: its name.
        begin, end: the shares of the whole study at which it begins and ends.
    """

    STEP = 0.01  # shares closer than this are not told

    def __init__(self, stages: Stages, stage: str, begin: float, end: float) -> None:
        self._stages, self._stage, self._begin, self._end = stages, stage, begin, end
        self._share = 0.0
        self._start = time.perf_counter()

    def __call__(self, share: float) -> None:
        """Take the share done, from 0 to 1; one that does not rise is left out."""
        share = min(share, 1.0)
        if share <= self._share or (share < 1 and share - self._share < self.STEP):
            return
        self._share = share
        fraction = self._begin + (self._end - self._begin) * share
        eta = (time.perf_counter() - self._start) * (1 - share) / share
        self._stages.report(
            {"kind": "stage", "stage": self._stage, "fraction": fraction, "eta": eta}
        )


class Approach:
    """Tells how far an evaluation is whose number of points is not known beforehand.

    Args:
        stages: who is told.
        begin: the share of the whole study at which it begins.
    """

    def __init__(self, stages: Stages, begin: float) -> None:
        self._stages, self._begin = stages, begin
        self._share, self._tiles = 0.0, 0
        self._eta: float | None = None

    def point(self, stage: str) -> None:
        """Say that a point was evaluated."""
        self._report(stage)

    def tile(self, stage: str, key: str, cached_points: int) -> None:
        """Count a finished tile."""
        self._tiles += 1
        self._stages.report({"kind": "tile", "key": key, "done": self._tiles, "total": self._tiles})
        self._report(stage)

    def begin_at(self, begin: float) -> None:
        """Go on from a later share of the study."""
        self._begin = begin

    def reached(self, share: float, seconds: float, limit: float | None) -> None:
        """Take note of how much of the way is gone.

        Args:
            share: of the way, at most 1; it never falls.
            seconds: that it took so far.
            limit: seconds after which it ends in any case.
        """
        self._share = min(max(self._share, share), 1.0)
        left = None if limit is None else max(limit - seconds, 0.0)
        if self._share > 0:
            rest = seconds * (1 - self._share) / self._share
            left = rest if left is None else min(rest, left)
        self._eta = left

    def _report(self, stage: str) -> None:
        fraction = self._begin + (1 - self._begin) * self._share
        self._stages.report(
            {"kind": "stage", "stage": stage, "fraction": fraction, "eta": self._eta}
        )
