"""A module of jobs without any, for a worker that must refuse."""

from __future__ import annotations

JOBS: dict[str, object] = {}
