"""The queue and the state of every run, in one SQLite file that all processes share.

WAL mode: readers never wait for the writer. Every call opens its own connection, so any
thread may call. Changes of state are single statements that name the state they start
from, so two workers can never hold the same run. The folder of a run is the truth about
its content; this file can be rebuilt from the folders.
"""

from __future__ import annotations

import sqlite3
import time
import weakref
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from engine.errors import RunError

SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
    run_id TEXT PRIMARY KEY, kind TEXT NOT NULL, lane TEXT NOT NULL, title TEXT NOT NULL,
    spec TEXT NOT NULL, state TEXT NOT NULL, stage TEXT, fraction REAL NOT NULL DEFAULT 0,
    eta REAL, reason TEXT, created REAL NOT NULL, started REAL, finished REAL,
    attempts INTEGER NOT NULL DEFAULT 0, deaths INTEGER NOT NULL DEFAULT 0,
    pid INTEGER, cancel_at REAL
);
CREATE INDEX IF NOT EXISTS runs_waiting ON runs (state, lane, created);
CREATE TABLE IF NOT EXISTS workers (
    lane TEXT PRIMARY KEY, pid INTEGER NOT NULL, heartbeat REAL NOT NULL, oom_kills INTEGER
);
"""
_RESET = (
    "state='queued', stage=NULL, fraction=0, eta=NULL, reason=NULL, started=NULL,"
    " finished=NULL, attempts=0, deaths=0, pid=NULL, cancel_at=NULL"
)
MOST_DEATHS = 2
CANCELLED = "You cancelled it."


class RunIndex:
    """The SQLite file at `path`; made, or set aside and made anew when it is damaged."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self.rebuilt = self._prepare()
        # The last connection to close folds the WAL away, which costs more than a query; one
        # idle connection keeps the short-lived ones cheap.
        anchor = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        anchor.execute("SELECT 1 FROM runs LIMIT 1").fetchall()
        weakref.finalize(self, anchor.close)

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection of the caller's own; each statement commits by itself.

        Raises:
            RunError: the file is damaged or cannot be used.
        """
        try:
            connection = sqlite3.connect(self.path, timeout=20, isolation_level=None)
            with closing(connection):
                connection.row_factory = sqlite3.Row
                connection.execute("PRAGMA synchronous=NORMAL")
                yield connection
        except sqlite3.Error as error:
            raise RunError(f"The index of runs {self.path} cannot be used: {error}.") from error

    def add(self, run_id: str, *, kind: str, lane: str, title: str, spec: str) -> bool:
        """Queue a run that is not known yet; return False when it is."""
        return self._change(
            "INSERT OR IGNORE INTO runs (run_id, kind, lane, title, spec, state, created)"
            " VALUES (?, ?, ?, ?, ?, 'queued', ?)",
            (run_id, kind, lane, title, spec, time.time()),
        )

    def again(self, run_id: str, spec: str) -> bool:
        """Queue a finished run anew; return False when it is queued or running already."""
        return self._change(
            f"UPDATE runs SET {_RESET}, spec=?, created=? WHERE run_id=?"
            " AND state NOT IN ('queued', 'running')",
            (spec, time.time(), run_id),
        )

    def claim(self, lane: str, pid: int) -> tuple[str, str] | None:
        """Give the oldest queued run of `lane` to worker `pid`: its id and its spec."""
        oldest = "SELECT run_id FROM runs WHERE state='queued' AND lane=? ORDER BY created, run_id"
        with self.connection() as connection:
            # Looking first keeps an idle worker from locking the file at every look.
            if connection.execute(oldest, (lane,)).fetchone() is None:
                return None
            rows = connection.execute(
                "UPDATE runs SET state='running', pid=?, attempts=attempts+1, started=?"
                f" WHERE run_id=({oldest} LIMIT 1) RETURNING run_id, spec",
                (pid, time.time(), lane),
            ).fetchall()
        return (rows[0]["run_id"], rows[0]["spec"]) if rows else None

    def report(self, run_id: str, stage: str | None, fraction: float, eta: float | None) -> None:
        """Note how far a running run is."""
        self._change(
            "UPDATE runs SET stage=?, fraction=?, eta=? WHERE run_id=? AND state='running'",
            (stage, fraction, eta, run_id),
        )

    def finish(self, run_id: str, before: str, state: str, reason: str | None = None) -> bool:
        """Move a run from state `before` to its last one; return whether it was in `before`."""
        return self._change(
            "UPDATE runs SET state=?, reason=?, finished=?, eta=NULL, pid=NULL,"
            " fraction=CASE WHEN ?='done' THEN 1 ELSE fraction END WHERE run_id=? AND state=?",
            (state, reason, time.time(), state, run_id, before),
        )

    def requeue(self, run_id: str) -> None:
        """Put a running run back in the queue: its worker was asked to stop, nothing failed."""
        returned = self._change(
            "UPDATE runs SET state='queued', pid=NULL, eta=NULL WHERE run_id=?"
            " AND state='running' AND cancel_at IS NULL",
            (run_id,),
        )
        if not returned:
            self.finish(run_id, "running", "cancelled", CANCELLED)

    def cancel(self, run_id: str) -> None:
        """Cancel a queued run at once; ask the worker of a running one to stop."""
        if not self.finish(run_id, "queued", "cancelled", CANCELLED):
            self._change(
                "UPDATE runs SET cancel_at=COALESCE(cancel_at, ?) WHERE run_id=?"
                " AND state='running'",
                (time.time(), run_id),
            )

    def cancel_wanted(self, run_id: str) -> bool:
        """Whether a running run was asked to stop, or is no longer there."""
        row = self.row(run_id)
        return row is None or row["cancel_at"] is not None

    def recover(self, lane: str, cause: str) -> tuple[str, ...]:
        """Take back the runs of a dead worker; only the holder of the lane's lock may call.

        A run goes back to the queue, or ends: cancelled when that was asked for, failed when
        it has killed its worker twice.
        """
        with self.connection() as connection:
            rows = connection.execute(
                "SELECT run_id, deaths, cancel_at FROM runs WHERE state='running' AND lane=?",
                (lane,),
            ).fetchall()
            for row in rows:
                state, reason = _after_death(row, cause)
                connection.execute(
                    "UPDATE runs SET state=?, reason=?, deaths=deaths+1, pid=NULL, eta=NULL,"
                    " finished=? WHERE run_id=? AND state='running'",
                    (state, reason, None if state == "queued" else time.time(), row["run_id"]),
                )
        return tuple(row["run_id"] for row in rows)

    def row(self, run_id: str) -> sqlite3.Row | None:
        """Return a run's row, or None."""
        with self.connection() as connection:
            return connection.execute("SELECT * FROM runs WHERE run_id=?", (run_id,)).fetchone()

    def rows(self) -> list[sqlite3.Row]:
        """Return all rows, newest first."""
        with self.connection() as connection:
            return connection.execute("SELECT * FROM runs ORDER BY created DESC").fetchall()

    def ahead(self, lane: str, created: float) -> int:
        """Return how many unfinished runs of `lane` came before `created`."""
        with self.connection() as connection:
            (count,) = connection.execute(
                "SELECT COUNT(*) FROM runs WHERE lane=? AND created<?"
                " AND state IN ('queued', 'running')",
                (lane, created),
            ).fetchone()
        return count

    def busy_lanes(self) -> frozenset[str]:
        """Return the lanes that have queued or running runs."""
        with self.connection() as connection:
            rows = connection.execute(
                "SELECT DISTINCT lane FROM runs WHERE state IN ('queued', 'running')"
            ).fetchall()
        return frozenset(row["lane"] for row in rows)

    def awaits(self, text: str, besides: str) -> bool:
        """Whether the spec of an unfinished run other than `besides` holds a text."""
        with self.connection() as connection:
            (count,) = connection.execute(
                "SELECT COUNT(*) FROM runs WHERE state IN ('queued', 'running') AND run_id<>?"
                " AND INSTR(spec, ?)>0",
                (besides, text),
            ).fetchone()
        return count > 0

    def overdue(self, lane: str) -> float | None:
        """Return since when the running run of `lane` has been asked to stop, or None."""
        with self.connection() as connection:
            (since,) = connection.execute(
                "SELECT MIN(cancel_at) FROM runs WHERE state='running' AND lane=?", (lane,)
            ).fetchone()
        return since

    def remove(self, run_id: str) -> bool:
        """Forget a run that is not running; return whether it was forgotten."""
        return self._change(
            "DELETE FROM runs WHERE run_id=? AND state NOT IN ('queued', 'running')", (run_id,)
        )

    def enlist(self, lane: str, pid: int, oom_kills: int | None) -> None:
        """Note which process serves `lane`."""
        self._change(
            "INSERT OR REPLACE INTO workers (lane, pid, heartbeat, oom_kills) VALUES (?, ?, ?, ?)",
            (lane, pid, time.time(), oom_kills),
        )

    def beat(self, lane: str, pid: int) -> None:
        """Note that the worker of `lane` is alive."""
        self._change(
            "UPDATE workers SET heartbeat=? WHERE lane=? AND pid=?", (time.time(), lane, pid)
        )

    def worker(self, lane: str) -> sqlite3.Row | None:
        """Return what is known of the last worker of `lane`: pid, heartbeat, oom_kills."""
        with self.connection() as connection:
            return connection.execute("SELECT * FROM workers WHERE lane=?", (lane,)).fetchone()

    def _change(self, statement: str, values: tuple[object, ...]) -> bool:
        with self.connection() as connection:
            return connection.execute(statement, values).rowcount > 0

    def _prepare(self) -> bool:
        """Return whether the tables had to be made: the folders then say which runs there are."""
        try:
            return self._create()
        except RunError as error:
            if not _is_damage(error.__cause__):
                raise
            self.path.replace(self.path.with_name(f"{self.path.name}.damaged-{time.time_ns()}"))
            for suffix in ("-wal", "-shm"):
                self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
            return self._create()

    def _create(self) -> bool:
        with self.connection() as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version > SCHEMA_VERSION:
                raise RunError(
                    f"The index of runs {self.path} was written by a newer Basinscope"
                    f" (version {version}; this one knows {SCHEMA_VERSION}). Update Basinscope."
                )
            tables = "SELECT COUNT(*) FROM sqlite_master WHERE name IN ('runs', 'workers')"
            (found,) = connection.execute(tables).fetchone()
            made = version < SCHEMA_VERSION or found < 2
            if made:
                connection.execute("PRAGMA journal_mode=WAL")
                connection.executescript(_SCHEMA)
                connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
            return made


def _is_damage(error: BaseException | None) -> bool:
    return isinstance(error, sqlite3.DatabaseError) and not isinstance(
        error, sqlite3.OperationalError
    )


def _after_death(row: sqlite3.Row, cause: str) -> tuple[str, str]:
    if row["cancel_at"] is not None:
        return "cancelled", CANCELLED
    if row["deaths"] + 1 >= MOST_DEATHS:
        return "failed", f"It ended its worker twice. {cause} Its finished tiles are kept."
    return "queued", f"It is started again. {cause}"
