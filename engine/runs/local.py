"""Keeps the workers of one home folder alive on this machine; the default, nothing to set up.

A worker is a process of its own session, so it outlives the app; an app that starts anew
finds it by its lock. A worker that dies is replaced and its run taken up again. Cancelling
asks first (a flag, looked at between tiles), then sends SIGTERM, then SIGKILL.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from engine.errors import RunError
from engine.runs.deaths import death_cause, oom_kills
from engine.runs.locks import log_path, worker_lock
from engine.runs.spec import LANES
from engine.runs.store import Store

_log = logging.getLogger(__name__)
_ROOT = Path(__file__).resolve().parents[2]
_MOST_FAILED_STARTS = 3
_LONGEST_START = 30.0


class LocalExecutor:
    """Starts, watches and ends the workers of a store; any thread may call.

    Args:
        store: the store to serve.
        jobs: module whose `JOBS` the workers use.
        grace: seconds from a cancel to SIGTERM, and from there to SIGKILL.
        stall: seconds without a heartbeat after which a worker counts as hung.
    """

    def __init__(
        self,
        store: Store,
        *,
        jobs: str = "engine.runs.jobs",
        grace: float = 5.0,
        stall: float = 120.0,
    ) -> None:
        self.store = store
        self._jobs, self._grace, self._stall = jobs, grace, stall
        self._children: dict[str, tuple[subprocess.Popen[bytes], float]] = {}
        self._beats: dict[str, tuple[float, float]] = {}
        self._failures: dict[str, tuple[int, float]] = {}
        self._mutex = threading.RLock()
        self._watching: threading.Thread | None = None
        self._closed = threading.Event()

    def ensure_worker(self, *lanes: str) -> None:
        """See that every lane with unfinished runs, and each lane named, has a live worker.

        Raises:
            RunError: the worker cannot be started; its log says why.
        """
        with self._mutex:
            self.reap()
            for lane in self.store.index.busy_lanes() | set(lanes):
                if not self.alive(lane):
                    self._start(lane)

    def reap(self) -> None:
        """Take back the runs of dead workers; end those that hang or ignore a cancel."""
        with self._mutex:
            for lane in LANES:
                if self._bury(lane):
                    continue
                if self._locked(lane):
                    self._press(lane)
                elif lane not in self._children and lane in self.store.index.busy_lanes():
                    self._recover(lane, None)

    def alive(self, lane: str) -> bool:
        """Whether the lane has a worker, started here or by another process."""
        with self._mutex:
            child, _ = self._children.get(lane, (None, 0.0))
            return (child is not None and child.poll() is None) or self._locked(lane)

    def cancel(self, run_id: str) -> None:
        """Cancel a run; a worker that does not stop in time is ended by later calls of `reap`."""
        self.store.cancel(run_id)
        self.reap()

    def watch(self, interval: float = 1.0) -> None:
        """Call `ensure_worker` every `interval` seconds from a thread; once is enough."""
        with self._mutex:
            if self._watching is None:
                self._watching = threading.Thread(
                    target=self._watch, args=(interval,), daemon=True, name="basinscope-watch"
                )
                self._watching.start()

    def close(self, patience: float = 10.0) -> None:
        """Stop watching and end the workers started here; their runs wait in the queue."""
        self._closed.set()
        if self._watching is not None:
            self._watching.join()
        with self._mutex:
            for child, _ in self._children.values():
                child.terminate()
            for child, _ in self._children.values():
                try:
                    child.wait(patience)
                except subprocess.TimeoutExpired:
                    child.kill()
                    child.wait()
            self.reap()

    def _watch(self, interval: float) -> None:
        while not self._closed.wait(interval):
            try:
                self.ensure_worker()
            except (RunError, OSError):  # it may work again later, when there is room on the disk
                _log.exception("the workers cannot be kept alive")

    def _start(self, lane: str) -> None:
        self._bury(lane)
        count, last = self._failures.get(lane, (0, 0.0))
        if count >= _MOST_FAILED_STARTS:
            if time.monotonic() - last < 2 * _LONGEST_START:
                log = log_path(self.store.home, lane)
                raise RunError(f"The worker cannot be started; the log {log} says why.")
            del self._failures[lane]
        log = log_path(self.store.home, lane)
        log.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "engine.runs.worker", "--home", str(self.store.home)]
        paths = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        with log.open("ab") as stream:
            child = subprocess.Popen(
                [*command, "--lane", lane, "--jobs", self._jobs],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                # Threads that wait must sleep: beside a browser that draws, spinning ones make a
                # small network many times slower.
                env={
                    "OMP_WAIT_POLICY": "PASSIVE",
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join(paths),
                },
                start_new_session=True,
            )
        self._children[lane] = (child, time.monotonic())

    def _bury(self, lane: str) -> bool:
        """Take back the run of a worker that was started here and is dead; say whether it is."""
        child, started = self._children.get(lane, (None, 0.0))
        if child is None or child.poll() is None:
            return False
        del self._children[lane]
        recovered = self._recover(lane, child.returncode)
        lived = time.monotonic() - started
        if child.returncode != 0 and not recovered and lived < _LONGEST_START:
            count, _ = self._failures.get(lane, (0, 0.0))
            self._failures[lane] = (count + 1, time.monotonic())
        else:
            self._failures.pop(lane, None)
        return True

    def _recover(self, lane: str, returncode: int | None) -> tuple[str, ...]:
        lock = worker_lock(self.store.home, lane)
        if not lock.acquire():
            return ()
        try:
            worker = self.store.index.worker(lane)
            before = worker["oom_kills"] if worker is not None else None
            return self.store.index.recover(lane, death_cause(returncode, before, oom_kills()))
        finally:
            lock.release()

    def _press(self, lane: str) -> None:
        """End a live worker that ignores a cancel or shows no heartbeat."""
        worker = self.store.index.worker(lane)
        if worker is None:
            return
        since = self.store.index.overdue(lane)
        late = 0.0 if since is None else time.time() - since
        beat, now = float(worker["heartbeat"]), time.monotonic()
        known, seen = self._beats.setdefault(lane, (beat, now))
        if known != beat:
            self._beats[lane] = (beat, now)
        hung = known == beat and now - seen > self._stall
        if hung or late > 2 * self._grace:
            _log.warning("the worker of the lane %s is killed", lane)
            self._signal(worker["pid"], signal.SIGKILL)
        elif late > self._grace:
            self._signal(worker["pid"], signal.SIGTERM)

    def _signal(self, pid: int, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)

    def _locked(self, lane: str) -> bool:
        lock = worker_lock(self.store.home, lane)
        free = lock.acquire()
        lock.release()
        return not free
