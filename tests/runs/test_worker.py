"""The worker: it answers what waits, alone in its lane, and tells failures to the user."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from engine.runs import Store
from engine.runs.files import write_bytes
from engine.runs.locks import log_path
from engine.runs.worker import Pace, Worker, main
from tests.runs.conftest import JOBS, answer, wait_for
from tests.runs.slow_jobs import SlowSpec
from tests.runs.warm_jobs import WARMED

ROOT = Path(__file__).resolve().parents[2]


def test_a_run_is_answered(store: Store) -> None:
    run_id = store.submit(SlowSpec(tiles=2), "two tiles")
    assert store.status(run_id).state == "queued"
    answer(store)
    status = store.status(run_id)
    assert (status.state, status.fraction, status.title) == ("done", 1.0, "two tiles")
    result = store.result(run_id)
    assert result.arrays["values"].shape == (200,)
    assert not result.arrays["values"].flags.writeable
    assert result.summary["seed"] == 0
    assert result.provenance == {"pid": os.getpid()}
    assert store.file(run_id, "note.txt").read_text() == "made"
    kinds = [event["kind"] for event in store.events(run_id).events]
    assert kinds[0] == "start"
    assert kinds[-1] == "done"


def test_two_workers_at_once_only_one_serves(store: Store) -> None:
    runs = [store.submit(SlowSpec(seed=seed, tiles=2, delay=0.02)) for seed in range(6)]
    command = [sys.executable, "-m", "engine.runs.worker", "--home", str(store.home)]
    command += ["--jobs", JOBS, "--once"]
    pair = [subprocess.Popen(command, cwd=ROOT) for _ in range(2)]
    assert [process.wait(30) for process in pair] == [0, 0]
    for run_id in runs:
        status = store.status(run_id)
        assert (status.state, status.attempts) == ("done", 1)


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        ("refused", "The data of tile 3 are upside down; turn them."),
        ("starved", "Memory ran out. Use fewer samples"),
        ("starved-torch", "Memory ran out. Use fewer samples"),
        ("bug", "Internal error; look for run {run_id} in the log logs/worker-compute.log."),
    ],
)
def test_failures_are_told_in_the_users_words(store: Store, end: str, reason: str) -> None:
    run_id = store.submit(SlowSpec(tiles=1, end=end))
    answer(store)
    status = store.status(run_id)
    assert status.state == "failed"
    assert status.reason is not None
    assert status.reason.startswith(reason.format(run_id=run_id))
    assert "secret" not in status.reason


def test_an_internal_error_is_in_the_log(store: Store) -> None:
    run_id = store.submit(SlowSpec(tiles=0, end="bug"))
    command = [sys.executable, "-m", "engine.runs.worker", "--home", str(store.home)]
    done = subprocess.run([*command, "--jobs", JOBS, "--once"], cwd=ROOT, timeout=30, check=True)
    assert done.returncode == 0
    text = (store.home / "logs" / "worker-compute.log").read_text()
    assert f"run {run_id} failed" in text
    assert "ZeroDivisionError: a secret path" in text


def test_a_kind_without_a_job_fails_with_its_name(store: Store) -> None:
    run_id = store.submit(SlowSpec(tiles=0))
    Worker(store, "compute", "tests.runs.no_jobs").serve(once=True)
    assert store.status(run_id).reason == "This worker cannot answer runs of the kind 'slow'."


def test_an_idle_worker_ends(store: Store) -> None:
    start = time.monotonic()
    assert Worker(store, "compute", JOBS, Pace(idle=0.1, poll=0.02)).serve() == 0
    assert time.monotonic() - start < 5


def test_the_worker_needs_a_home(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([])
    assert "--home" in capsys.readouterr().err


def test_an_idle_worker_warms_up_once_and_a_busy_one_does_not(store: Store) -> None:
    pace = Pace(idle=0.1, poll=0.02)
    Worker(store, "compute", "tests.runs.warm_jobs", pace).serve()
    assert len(WARMED) == 1
    store.submit(SlowSpec())
    Worker(store, "compute", "tests.runs.warm_jobs", pace).serve()
    Worker(store, "files", "tests.runs.warm_jobs", pace).serve()
    assert len(WARMED) == 1


def test_a_worker_whose_home_is_gone_ends(store: Store) -> None:
    worker = Worker(store, "compute", JOBS, Pace(poll=0.02))
    thread = threading.Thread(target=worker.serve)
    thread.start()
    wait_for(lambda: worker._lock.in_place)
    worker._lock.path.unlink()
    thread.join(10)
    assert not thread.is_alive()


def test_a_log_that_has_grown_large_is_set_aside(store: Store) -> None:
    log = log_path(store.home, "files")
    write_bytes(log, b"x" * 5_000_001)
    command = [sys.executable, "-m", "engine.runs.worker", "--home", str(store.home)]
    command += ["--jobs", JOBS, "--once", "--lane", "files"]
    subprocess.run(command, cwd=ROOT, timeout=60, check=True)
    assert log.with_suffix(".log.1").stat().st_size == 5_000_001
    assert log.stat().st_size < 1000
