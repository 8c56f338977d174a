"""A module of jobs that counts how often a worker warms up."""

from __future__ import annotations

from tests.runs.slow_jobs import JOBS

WARMED: list[int] = []


def warm() -> None:
    """Note the call."""
    WARMED.append(1)


__all__ = ["JOBS", "WARMED", "warm"]
