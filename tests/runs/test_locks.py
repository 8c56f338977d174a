"""Locks: one holder, and free again when the holder is gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import RunError
from engine.runs.locks import FileLock, worker_lock


def test_one_holder_at_a_time(tmp_path: Path) -> None:
    first, second = FileLock(tmp_path / "a" / "lock"), FileLock(tmp_path / "a" / "lock")
    assert first.acquire()
    assert not second.acquire(patience=0.05)
    first.release()
    first.release()
    assert second.acquire()
    second.release()


def test_a_lock_notices_when_its_file_is_gone(tmp_path: Path) -> None:
    lock = worker_lock(tmp_path, "compute")
    assert not lock.in_place
    with lock:
        assert lock.in_place
        lock.path.unlink()
        assert not lock.in_place
        lock.path.touch()
        assert not lock.in_place
    assert not lock.in_place


def test_a_lock_that_nobody_gives_back_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FileLock, "acquire", lambda self, patience: False)
    with pytest.raises(RunError, match=r"Another process has held .*lock for a minute"):
        FileLock(tmp_path / "lock").__enter__()
