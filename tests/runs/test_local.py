"""The executor over real worker processes: killed, frozen, cancelled, replaced, found again."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from engine.errors import RunError
from engine.runs import LocalExecutor, Store
from tests.runs.conftest import JOBS, answer, finished, wait_for
from tests.runs.slow_jobs import SlowSpec

ROOT = Path(__file__).resolve().parents[2]


def computed(store: Store, run_id: str) -> list[str]:
    events = store.events(run_id).events
    return [event["key"] for event in events if event["kind"] == "computed"]


def worker_pid(store: Store) -> int:
    row = store.index.worker("compute")
    assert row is not None
    return row["pid"]


def test_a_worker_killed_in_mid_run_is_replaced_and_the_result_is_identical(
    store: Store, executor: LocalExecutor, tmp_path: Path
) -> None:
    spec = SlowSpec(tiles=12, delay=0.08, seed=3)
    run_id = store.submit(spec)
    executor.ensure_worker()
    wait_for(lambda: len(store.tiles(run_id).keys()) >= 3)
    os.kill(worker_pid(store), signal.SIGKILL)
    status = finished(executor, run_id)
    assert (status.state, status.attempts) == ("done", 2)
    keys = computed(store, run_id)
    # The kill may come after a tile was kept and before it was told, or while one was made.
    assert 11 <= len(set(keys)) <= len(keys) <= 13
    assert len(store.tiles(run_id).keys()) == 12

    undisturbed = Store(tmp_path / "other", assets=tmp_path / "assets")
    undisturbed.submit(spec)
    answer(undisturbed)
    assert (store.run_folder(run_id) / "result.npz").read_bytes() == (
        undisturbed.run_folder(run_id) / "result.npz"
    ).read_bytes()


@pytest.mark.parametrize(("own", "expected"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_waiting_threads_of_a_worker_sleep_unless_the_user_says_otherwise(
    store: Store,
    executor: LocalExecutor,
    monkeypatch: pytest.MonkeyPatch,
    own: str | None,
    expected: str,
) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    if own is not None:
        monkeypatch.setenv("OMP_WAIT_POLICY", own)
    store.submit(SlowSpec(tiles=400, delay=0.02))
    executor.ensure_worker()
    wait_for(lambda: store.index.worker("compute") is not None)
    given = Path(f"/proc/{worker_pid(store)}/environ").read_bytes().split(b"\0")
    assert f"OMP_WAIT_POLICY={expected}".encode() in given


def test_a_run_that_kills_its_worker_twice_has_failed(
    store: Store, executor: LocalExecutor
) -> None:
    run_id = store.submit(SlowSpec(tiles=2, end="killed"))
    status = finished(executor, run_id)
    assert status.state == "failed"
    assert status.attempts == 2
    assert status.reason is not None
    assert "ended its worker twice" in status.reason
    assert "SIGKILL" in status.reason or "memory ran out" in status.reason
    assert len(store.tiles(run_id).keys()) == 2
    with pytest.raises(RunError, match="it is failed: It ended its worker twice"):
        store.result(run_id)


def test_cancel_stops_a_run_between_tiles(store: Store, executor: LocalExecutor) -> None:
    run_id = store.submit(SlowSpec(tiles=400, delay=0.02))
    executor.ensure_worker()
    wait_for(lambda: len(store.tiles(run_id).keys()) >= 2)
    before = worker_pid(store)
    executor.cancel(run_id)
    assert finished(executor, run_id).state == "cancelled"
    assert executor.alive("compute")
    assert worker_pid(store) == before
    again = store.submit(SlowSpec(tiles=400, delay=0.02))
    assert again == run_id
    assert store.status(run_id).state in ("queued", "running")
    executor.cancel(run_id)


def test_a_worker_deaf_to_cancel_is_killed(store: Store, executor: LocalExecutor) -> None:
    run_id = store.submit(SlowSpec(tiles=1, end="deaf"))
    executor.ensure_worker()
    wait_for(lambda: store.tiles(run_id).keys())
    executor.cancel(run_id)
    assert finished(executor, run_id).state == "cancelled"


def test_a_worker_without_heartbeat_is_replaced(store: Store) -> None:
    executor = LocalExecutor(store, jobs=JOBS, stall=0.5)
    try:
        run_id = store.submit(SlowSpec(tiles=20, delay=0.05))
        executor.ensure_worker()
        wait_for(lambda: len(store.tiles(run_id).keys()) >= 2)
        frozen = worker_pid(store)
        os.kill(frozen, signal.SIGSTOP)
        executor._stall = 0.5
        wait_for(lambda: (executor.ensure_worker(), worker_pid(store) != frozen)[1])
        executor._stall = 120.0
        assert finished(executor, run_id).state == "done"
    finally:
        executor.close()


def test_a_worker_asked_to_end_puts_its_run_back(store: Store, executor: LocalExecutor) -> None:
    run_id = store.submit(SlowSpec(tiles=30, delay=0.03))
    executor.ensure_worker()
    wait_for(lambda: len(store.tiles(run_id).keys()) >= 2)
    os.kill(worker_pid(store), signal.SIGTERM)
    wait_for(lambda: not executor.alive("compute"))
    assert store.status(run_id).state == "queued"
    assert finished(executor, run_id).state == "done"
    assert len(computed(store, run_id)) == 30


def test_an_app_that_starts_anew_finds_the_live_worker(
    store: Store, executor: LocalExecutor
) -> None:
    run_id = store.submit(SlowSpec(tiles=20, delay=0.04))
    executor.ensure_worker()
    wait_for(lambda: store.status(run_id).state == "running")
    pid = worker_pid(store)
    anew = LocalExecutor(Store(store.home, assets=store.home), jobs=JOBS)
    anew.ensure_worker()
    assert anew.alive("compute")
    assert not anew._children
    assert finished(anew, run_id).attempts == 1
    assert worker_pid(store) == pid


def test_an_app_that_starts_anew_takes_up_the_run_of_a_dead_worker(store: Store) -> None:
    run_id = store.submit(SlowSpec(tiles=4))
    assert store.index.claim("compute", pid=2**22 + 1) is not None
    assert store.status(run_id).state == "running"
    anew = LocalExecutor(store, jobs=JOBS)
    try:
        assert finished(anew, run_id).state == "done"
    finally:
        anew.close()


def test_the_watch_answers_runs_while_nobody_asks(store: Store, executor: LocalExecutor) -> None:
    executor.watch(interval=0.05)
    executor.watch(interval=0.05)
    run_id = store.submit(SlowSpec(tiles=2))
    wait_for(lambda: store.status(run_id).state == "done")


def test_a_worker_that_cannot_start_is_told_after_three_attempts(store: Store) -> None:
    store.submit(SlowSpec())
    executor = LocalExecutor(store, jobs="tests.runs.no_such_module")

    def refused() -> bool:
        try:
            executor.ensure_worker()
        except RunError as error:
            assert "The worker cannot be started; the log" in str(error)
            return True
        return False

    wait_for(refused)
    text = (store.home / "logs" / "worker-compute.log").read_text()
    assert "No module named 'tests.runs.no_such_module'" in text
    executor.close()
