"""The worker that computes is started while the first page is looked at, once per visit."""

from __future__ import annotations

import threading

import pytest
import streamlit as st

from engine.errors import RunError
from pages.ui import engine_access


class Workers:
    """Stands where the executor stands."""

    def __init__(self, problem: Exception | None = None) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.problem, self.called = problem, threading.Event()

    def ensure_worker(self, *lanes: str) -> None:
        self.asked.append(lanes)
        self.called.set()
        if self.problem is not None:
            raise self.problem


@pytest.mark.parametrize("problem", [None, RunError("no room"), OSError("no room")])
def test_it_is_started_once_and_what_fails_waits_for_the_first_run(monkeypatch, problem):
    workers, state = Workers(problem), {}
    monkeypatch.setattr(engine_access, "executor", lambda: workers)
    monkeypatch.setattr(st, "session_state", state)
    engine_access.prepare(after=0)
    assert workers.called.wait(30)
    engine_access.prepare(after=0)
    assert workers.asked == [("compute",)]
