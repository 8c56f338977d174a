"""A store of its own for every test, and executors that leave no process behind."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.runs import LocalExecutor, RunStatus, Spec, Store
from engine.runs.worker import Worker

JOBS = "tests.runs.slow_jobs"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store without built-in content."""
    return Store(tmp_path / "home", assets=tmp_path / "assets")


@pytest.fixture
def executor(store: Store) -> Iterator[LocalExecutor]:
    """An executor over `store` whose workers run the test's own jobs."""
    made = LocalExecutor(store, jobs=JOBS, grace=0.4)
    yield made
    made.close()


def wait_for(condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait until `condition` holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def finished(executor: LocalExecutor, run_id: str, seconds: float = 30.0) -> RunStatus:
    """Keep the workers alive until a run has ended; return its status."""

    def ended() -> bool:
        executor.ensure_worker()
        return executor.store.status(run_id).ended

    wait_for(ended, seconds)
    return executor.store.status(run_id)


def answer(store: Store) -> None:
    """Answer everything that waits in the lane "compute", in this process."""
    assert Worker(store, "compute", JOBS).serve(once=True) == 0


def done(store: Store, spec: Spec) -> str:
    """Ask `spec`, answer it, and return its run's id."""
    run_id = store.submit(spec)
    answer(store)
    assert store.status(run_id).state == "done"
    return run_id
