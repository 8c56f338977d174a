"""Tells how far a comparison of methods is: each method's state and share, the time left."""

from __future__ import annotations

import time
from collections.abc import Mapping

from engine.studies.stages import Stages

MATCHING, LINES, DONE, FAILED = "matching", "lines", "done", "failed"
STATES = (MATCHING, LINES, DONE, FAILED)
_MATCH = 0.3  # of a method's work, the lines are the rest: nobody knows beforehand
_STEP = 0.02  # shares closer than this are not told


class MethodsProgress:
    """Counts the work on every method.

    Args:
        stages: takes the events.
        titles: id → title, in the order in which they are tried.
        points: that are evaluated for each, all its lines together.
        begin: share of the whole at which the first method begins.
    """

    def __init__(
        self, stages: Stages, titles: Mapping[str, str], points: int, begin: float
    ) -> None:
        self._stages, self._titles, self._begin = stages, titles, begin
        self._each = max(points, 1)
        self._points = dict.fromkeys(titles, 0)
        self._shares = dict.fromkeys(titles, 0.0)
        self._told: dict[str, tuple[str, float]] = {}
        self._start = time.perf_counter()

    def match(self, name: str, share: float) -> None:
        """Take the share done of a method's matching."""
        self._tell(name, MATCHING, _MATCH * min(max(share, 0.0), 1.0))

    def points(self, name: str, more: int) -> None:
        """Count further evaluated points of a method's lines."""
        self._points[name] += more
        share = min(self._points[name] / self._each, 1.0)
        self._tell(name, LINES, _MATCH + (1 - _MATCH) * share)

    def end(self, name: str, problem: str | None) -> None:
        """Say that nothing more is done for a method, and why if it failed."""
        self._tell(name, DONE if problem is None else FAILED, 1.0, problem)

    def _tell(self, name: str, state: str, share: float, problem: str | None = None) -> None:
        self._shares[name] = max(share, self._shares[name])
        told = self._told.get(name)
        if told is not None and told[0] == state and share - told[1] < _STEP:
            return
        self._told[name] = (state, share)
        event = {"kind": "method", "method": name, "state": state, "share": share}
        self._stages.report({**event, "problem": problem})
        done = sum(self._shares.values()) / len(self._shares)
        words = {MATCHING: "matching", LINES: "its lines"}.get(state, "done")
        self._stages.report(
            {
                "kind": "stage",
                "stage": f"{self._titles[name]}: {words}",
                "fraction": self._begin + (1 - self._begin) * done,
                "eta": self._left(done),
            }
        )

    def _left(self, done: float) -> float | None:
        """Return the seconds left if all goes on as before; None while too little is known."""
        if done < 0.1:
            return None
        return (time.perf_counter() - self._start) * (1 - done) / done
