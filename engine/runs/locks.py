"""One process at a time: advisory locks on files, released by the system when a process dies.

A held lock is the proof that a worker lives; a free one that it does not, whatever its
recorded process id says. POSIX only (`fcntl.flock`).
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from engine.errors import RunError


class FileLock:
    """An exclusive lock on `path`, held from `acquire` to `release` or the process's end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def acquire(self, patience: float = 0.0) -> bool:
        """Take the lock; return whether that worked within `patience` seconds."""
        end = time.monotonic() + patience
        while not self._try():
            if time.monotonic() >= end:
                return False
            time.sleep(0.02)
        return True

    def release(self) -> None:
        """Give the lock back; without effect when it is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    @property
    def in_place(self) -> bool:
        """Whether the lock is held and its file still stands where others look for it."""
        if self._descriptor is None:
            return False
        try:
            return os.path.samestat(os.fstat(self._descriptor), self.path.stat())
        except FileNotFoundError:
            return False

    def __enter__(self) -> FileLock:
        if not self.acquire(patience=60.0):
            raise RunError(f"Another process has held {self.path} for a minute; end it first.")
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _try(self) -> bool:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True


def worker_lock(home: Path, lane: str) -> FileLock:
    """Return the lock that the worker of `lane` holds as long as it lives."""
    return FileLock(home / f"worker-{lane}.lock")


def log_path(home: Path, lane: str) -> Path:
    """Return the file that the worker of `lane` logs to."""
    return home / "logs" / f"worker-{lane}.log"
