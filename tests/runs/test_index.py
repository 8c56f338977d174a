"""The index: one owner per run, damage kept apart, lost and built anew from the folders."""

from __future__ import annotations

import sqlite3
import threading

import pytest

from engine.errors import RunError
from engine.runs import Store
from tests.runs.conftest import answer, done
from tests.runs.slow_jobs import SlowSpec


@pytest.mark.parametrize(
    "change",
    ["state='nonsense'", "fraction='half'", "created=x'00ff'", "attempts='many'"],
)
def test_a_damaged_row_is_a_failed_run(store: Store, change: str) -> None:
    run_id = done(store, SlowSpec())
    with store.index.connection() as connection:
        connection.execute(f"UPDATE runs SET {change}")
    status = store.status(run_id)
    assert status.state == "failed"
    assert status.reason == "The record of this run is damaged; run it again or delete it."
    assert [found.state for found in store.list()] == ["failed"]
    store.submit(SlowSpec())
    answer(store)
    if "state" in change:
        assert store.status(run_id).state == "done"
    store.delete(run_id)


def test_a_damaged_spec_in_the_queue_fails_alone(store: Store) -> None:
    broken, good = store.submit(SlowSpec(seed=1)), store.submit(SlowSpec(seed=2))
    with store.index.connection() as connection:
        connection.execute("UPDATE runs SET spec='{' WHERE run_id=?", (broken,))
    answer(store)
    assert store.status(broken).reason is not None
    assert "no JSON" in str(store.status(broken).reason)
    assert store.status(good).state == "done"


def test_a_lost_or_damaged_index_is_rebuilt_from_the_folders(store: Store) -> None:
    finished, waiting = done(store, SlowSpec(seed=1)), store.submit(SlowSpec(seed=2))
    (store.home / "runs" / "0123456789abcdef").mkdir()
    (store.home / "runs" / ("f" * 16)).mkdir()
    (store.home / "runs" / ("f" * 16) / "spec.json").write_text("{")
    store.index.path.write_bytes(b"this is no database, only text " * 100)
    anew = Store(store.home, assets=store.home / "none")
    assert anew.status(finished).state == "done"
    assert anew.result(finished).summary["seed"] == 1
    status = anew.status(waiting)
    assert (status.state, status.reason) == (
        "failed",
        "The index of runs was lost in mid-run; run it again.",
    )
    assert len(anew.list()) == 2
    assert len(list(store.home.glob("basinscope.sqlite.damaged-*"))) == 1
    anew.submit(SlowSpec(seed=2))
    answer(anew)
    assert anew.status(waiting).state == "done"


def test_an_index_of_a_newer_version_is_left_alone(store: Store) -> None:
    with store.index.connection() as connection:
        connection.execute("PRAGMA user_version=99")
    with pytest.raises(RunError, match=r"newer Basinscope \(version 99; this one knows 1\)"):
        Store(store.home)


def test_an_index_that_cannot_be_used_is_told(store: Store) -> None:
    store.index.path.unlink()
    store.index.path.mkdir()
    with pytest.raises(RunError, match=r"The index of runs .* cannot be used: unable to open"):
        store.list()
    with pytest.raises(RunError, match="cannot be used"):
        Store(store.home)


def test_the_index_is_in_wal_mode(store: Store) -> None:
    connection = sqlite3.connect(store.index.path)
    (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    connection.close()
    assert mode == "wal"


def test_a_cancel_outlives_the_worker_that_was_asked(store: Store) -> None:
    run_id = store.submit(SlowSpec())
    store.index.claim("compute", 1)
    store.cancel(run_id)
    assert store.index.recover("compute", "It died.") == (run_id,)
    assert store.status(run_id).state == "cancelled"


def test_a_cancel_that_meets_a_worker_asked_to_end_wins(store: Store) -> None:
    run_id = store.submit(SlowSpec())
    store.index.claim("compute", 1)
    store.cancel(run_id)
    store.index.requeue(run_id)
    assert store.status(run_id).state == "cancelled"


def test_a_run_is_taken_up_after_one_death_and_given_up_after_two(store: Store) -> None:
    run_id = store.submit(SlowSpec())
    for state, reason in [
        ("queued", "It is started again. It died."),
        ("failed", "It ended its worker twice. It died. Its finished tiles are kept."),
    ]:
        store.index.claim("compute", 1)
        assert store.index.recover("files", "It died.") == ()
        store.index.recover("compute", "It died.")
        assert (store.status(run_id).state, store.status(run_id).reason) == (state, reason)
    store.submit(SlowSpec())
    assert store.status(run_id).state == "queued"
    assert store.status(run_id).reason is None


def test_no_run_is_claimed_twice(store: Store) -> None:
    runs = [store.submit(SlowSpec(seed=seed)) for seed in range(40)]
    claimed: list[str] = []
    gate = threading.Barrier(8)

    def take() -> None:
        gate.wait()
        while (found := store.index.claim("compute", 1)) is not None:
            claimed.append(found[0])

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == sorted(runs)
    assert {status.attempts for status in store.list()} == {1}


def test_an_index_that_another_process_made_empty_is_filled_from_the_folders(store: Store) -> None:
    finished = done(store, SlowSpec(seed=1))
    for path in store.home.glob("basinscope.sqlite*"):
        path.unlink()
    with pytest.raises(RunError, match="no such table"):  # the look itself makes an empty file
        store.status(finished)
    assert Store(store.home, assets=store.home).status(finished).state == "done"


def test_an_index_without_its_tables_is_filled_from_the_folders(store: Store) -> None:
    finished = done(store, SlowSpec(seed=1))
    with store.index.connection() as connection:
        connection.execute("DROP TABLE runs")
    assert Store(store.home, assets=store.home).status(finished).state == "done"
