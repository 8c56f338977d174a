"""The process that computes: `python -m engine.runs.worker --home H --lane compute`.

One worker per home folder and lane, by a file lock. It takes queued runs one after the
other and stays warm between them. Asked to end (SIGTERM), it finishes the current tile and
puts its run back in the queue; killed, its run is taken back by whoever comes next and
goes on after the last finished tile. A failure that has a message for the user ends the run
with that message; any other is logged, and the run says where.
"""

from __future__ import annotations

import argparse
import faulthandler
import importlib
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from engine.errors import BasinscopeError, CancelledError, RunError
from engine.runs.context import JobContext, JobResult, Jobs
from engine.runs.deaths import MEMORY_ADVICE, death_cause, oom_kills
from engine.runs.events import Event, EventLog
from engine.runs.index import CANCELLED
from engine.runs.locks import log_path, worker_lock
from engine.runs.spec import LANES, Spec, parse_spec
from engine.runs.store import Store

_log = logging.getLogger(__name__)
_MOST_LOG = 5_000_000
_NO_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")


@dataclass(frozen=True)
class Pace:
    """How often the worker looks, in seconds."""

    poll: float = 0.2
    beat: float = 1.0
    look: float = 0.2
    idle: float = 1800.0
    orphaned: float = 300.0


class Worker:
    """Serves one lane of one home folder.

    Args:
        store: the home folder's store.
        lane: which queued runs to take.
        jobs: name of the module whose `JOBS` maps a spec's kind to its function.
        pace: how often to look.
    """

    def __init__(self, store: Store, lane: str, jobs: str, pace: Pace | None = None) -> None:
        self.store, self.lane, self._jobs_module = store, lane, jobs
        self.pace = pace or Pace()
        self.stopping = threading.Event()
        self._pid, self._parent = os.getpid(), os.getppid()
        self._lock = worker_lock(store.home, lane)

    def serve(self, once: bool = False) -> int:
        """Take runs until asked to stop, or idle for long; return the exit code.

        Args:
            once: end as soon as no run is waiting.
        """
        if not self._lock.acquire(patience=3.0):
            _log.info("another worker serves the lane %s", self.lane)
            return 0
        heart = threading.Thread(target=self._beat, daemon=True)
        try:
            self._enlist()
            self.store.index.recover(self.lane, death_cause(None, None, None))
            self.store.shelf.sweep()
            heart.start()
            module = importlib.import_module(self._jobs_module)
            jobs: Jobs = module.JOBS
            _log.info("worker %d serves the lane %s", self._pid, self.lane)
            self._loop(jobs, once, getattr(module, "warm", None))
        finally:
            self.stopping.set()
            if heart.ident is not None:
                heart.join()
            self._lock.release()
        return 0

    def stop(self, number: int = 0, frame: FrameType | None = None) -> None:
        """Ask the worker to end after the current tile; usable as a signal handler."""
        self.stopping.set()

    def _loop(self, jobs: Jobs, once: bool, warm: Callable[[], None] | None) -> None:
        if self.lane != "compute" or once:
            warm = None
        idle_since = time.monotonic()
        while not self.stopping.is_set() and self._lock.in_place:
            claimed = self.store.index.claim(self.lane, self._pid)
            if claimed is not None:
                self._enlist()
                self._run(jobs, *claimed)
                idle_since, warm = time.monotonic(), None
                continue
            limit = self.pace.idle if os.getppid() == self._parent else self.pace.orphaned
            if once or time.monotonic() - idle_since > limit:
                return
            if warm is not None:
                warm, prepare = None, warm
                prepare()
            self.stopping.wait(self.pace.poll)

    def _run(self, jobs: Jobs, run_id: str, text: str) -> None:
        """Answer one run; whatever happens, its state says so afterwards."""
        log = EventLog(self.store.home / "runs" / run_id / "events.jsonl")
        try:
            log.append({"kind": "start", "time": time.time(), "pid": self._pid})
            outcome = self._answer(jobs, parse_spec(text), log)
            self.store.save_result(run_id, outcome)
            state, reason = "done", None
        except CancelledError:
            state, reason = self._stopped(run_id)
        except BasinscopeError as error:
            state, reason = "failed", str(error)
        except Exception as error:
            _log.exception("run %s failed", run_id)
            state, reason = "failed", _explain(error, run_id, self.lane)
        if state == "queued":
            self.store.index.requeue(run_id)
        else:
            self.store.index.finish(run_id, "running", state, reason)
        log.append({"kind": state, "time": time.time(), "reason": reason})
        log.close()
        _log.info("run %s is %s", run_id, state)

    def _answer(self, jobs: Jobs, spec: Spec, log: EventLog) -> JobResult:
        if spec.kind not in jobs:
            raise RunError(f"This worker cannot answer runs of the kind {spec.kind!r}.")
        run_id = spec.run_id
        context = JobContext(
            store=self.store,
            run_id=run_id,
            tiles=self.store.tiles(run_id),
            progress=_Reporter(self.store, run_id, log),
            should_stop=_StopFlag(self, run_id),
        )
        return jobs[spec.kind](spec, context)

    def _stopped(self, run_id: str) -> tuple[str, str | None]:
        """Tell a run that was cancelled from one whose worker was asked to end."""
        if self.stopping.is_set() and not self.store.index.cancel_wanted(run_id):
            return "queued", None
        return "cancelled", CANCELLED

    def _enlist(self) -> None:
        self.store.index.enlist(self.lane, self._pid, oom_kills())

    def _beat(self) -> None:
        while not self.stopping.wait(self.pace.beat):
            try:
                self.store.index.beat(self.lane, self._pid)
            except RunError:
                _log.exception("no heartbeat")


class _StopFlag:
    """Whether a run should stop; the index is looked at a few times a second at most."""

    def __init__(self, worker: Worker, run_id: str) -> None:
        self._worker, self._run_id = worker, run_id
        self._looked, self._wanted = 0.0, False

    def __call__(self) -> bool:
        now = time.monotonic()
        if not self._wanted and now - self._looked >= self._worker.pace.look:
            self._wanted = self._worker.store.index.cancel_wanted(self._run_id)
            self._looked = now
        return self._wanted or self._worker.stopping.is_set()


class _Reporter:
    """Passes events on to the run's log, and its stage to the run's status.

    A study may report its stage at every point of a plane; a few times a second are kept.
    """

    _SELDOM = 0.15

    def __init__(self, store: Store, run_id: str, log: EventLog) -> None:
        self._store, self._run_id, self._log = store, run_id, log
        self._stage, self._reported = "", 0.0

    def __call__(self, event: Event) -> None:
        if event.get("kind") != "stage":
            self._append(event)
            return
        stage, now = str(event.get("stage")), time.monotonic()
        if stage == self._stage and now - self._reported < self._SELDOM:
            return
        self._stage, self._reported = stage, now
        self._append(event)
        fraction = min(1.0, max(0.0, float(event.get("fraction") or 0.0)))
        eta = event.get("eta")
        eta = None if eta is None else float(eta)
        self._store.index.report(self._run_id, stage, fraction, eta)

    def _append(self, event: Event) -> None:
        self._log.append({"time": round(time.time(), 3), **event})


def _explain(error: Exception, run_id: str, lane: str) -> str:
    text = str(error).lower()
    if isinstance(error, MemoryError) or any(words in text for words in _NO_MEMORY):
        return f"Memory ran out. {MEMORY_ADVICE}"
    return f"Internal error; look for run {run_id} in the log logs/worker-{lane}.log."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a worker as a process of its own; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m engine.runs.worker", description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="the home folder to serve")
    parser.add_argument("--lane", choices=LANES, default="compute", help="which runs to take")
    parser.add_argument("--jobs", default="engine.runs.jobs", help="module that defines JOBS")
    parser.add_argument("--once", action="store_true", help="end when no run is waiting")
    options = parser.parse_args(arguments)
    path = log_path(options.home, options.lane)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > _MOST_LOG:
        path.replace(path.with_suffix(".log.1"))
    logging.basicConfig(
        filename=path,
        level=logging.INFO,
        format="%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s",
    )
    faulthandler.enable()
    worker = Worker(Store(options.home), options.lane, options.jobs)
    signal.signal(signal.SIGTERM, worker.stop)
    signal.signal(signal.SIGINT, worker.stop)
    try:
        return worker.serve(options.once)
    except Exception:
        _log.exception("the worker of the lane %s cannot go on", options.lane)
        return 3


if __name__ == "__main__":
    raise SystemExit(main())
