"""A run in words for the list: its state, barriers, how long it took and when."""

from __future__ import annotations

from datetime import UTC, datetime

from engine.errors import BasinscopeError
from engine.figures.numbers import duration
from engine.figures.task import words
from engine.runs import Result, RunStatus
from pages.ui import engine_access as access

STATES = {
    "queued": "○ waiting",
    "running": "◐ running",
    "done": "● done",
    "failed": "✕ failed",
    "cancelled": "– cancelled",
}


def loaded(status: RunStatus) -> Result | None:
    """Return a run's result, None where there is none or it is damaged."""
    if status.state != "done":
        return None
    try:
        return access.result(status)
    except BasinscopeError:
        return None


def facts(status: RunStatus, found: Result | None) -> list[str]:
    """Return a comparison's state, barriers and age in words."""
    middle = []
    if found is not None:
        naive, rebased = (
            ((found.summary.get("barriers") or {}).get(name) or {}).get("test") or {}
            for name in ("naive", "rebasin")
        )
        before, after = naive.get("git_rebasin"), rebased.get("git_rebasin")
        told = words(found.summary)
        middle.append(f"barrier {told.loss(before)} → {told.loss(after)}")
    return state_and_age(status, middle)


def state_and_age(status: RunStatus, found: list[str]) -> list[str]:
    """Return a run's state, what was found (empty where nothing is), how long it took, when."""
    parts = [STATES[status.state], *found]
    if not found and status.state == "done":
        parts.append("its files are damaged")
    elif not found and status.reason:
        parts.append(status.reason)
    if status.builtin:
        return [*parts, "built in"]
    when = datetime.fromtimestamp(status.created, UTC).strftime("%Y-%m-%d %H:%M UTC")
    if status.finished and status.started:
        parts.append(duration(status.finished - status.started))
    return [*parts, when]
