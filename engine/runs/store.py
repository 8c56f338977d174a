"""The store: every run asked so far, its state and its files, and the built-in runs.

One folder per run, `runs/<run_id>/`: `spec.json`, `result.npz`, `permutation.safetensors`,
`provenance.json`, `events.jsonl`, `tiles/`. The state of the queue lives in
`basinscope.sqlite`. Any number of processes and threads may use one home folder at once.
Nothing is computed here; a `LocalExecutor` keeps the workers that do.
"""

from __future__ import annotations

import json
import logging
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import numpy as np

from engine.errors import RunError, SpecError
from engine.home import home as default_home
from engine.home import unusable
from engine.runs.events import EventBatch, finite, read_events
from engine.runs.files import check_run_id, pack_arrays, replacing, write_bytes
from engine.runs.files_spec import FilesHeadersSpec, IngestFilesSpec
from engine.runs.index import RunIndex
from engine.runs.inspect_spec import HeadersSpec, InspectSpec, SelfTestSpec
from engine.runs.locks import FileLock
from engine.runs.methods_spec import MethodsSpec
from engine.runs.results import (
    PROVENANCE_FILE,
    RESULT_FILE,
    Partial,
    Result,
    RunStatus,
    read_partial,
    read_provenance,
    read_result,
    status_of,
)
from engine.runs.shelf import Shelf
from engine.runs.spec import CompareSpec, IngestDataSpec, IngestSpec, PairSpec, Spec, parse_spec
from engine.runs.tiles import DiskTiles

_log = logging.getLogger(__name__)
_ASSETS = Path(__file__).resolve().parents[2] / "assets" / "demo"
_LOST = "The index of runs was lost in mid-run; run it again."


class Outcome(Protocol):
    """What a job hands back; see `engine.runs.context.JobResult`."""

    @property
    def arrays(self) -> Any: ...
    @property
    def summary(self) -> Any: ...
    @property
    def files(self) -> Any: ...
    @property
    def provenance(self) -> Any: ...


class Store:
    """All runs under one home folder.

    Args:
        home: the folder; None for `engine.home.home()`.
        assets: folder of built-in checkpoints and of `runs/<run_id>/`; None for the shipped one.
        quota: most bytes that the home folder may hold for an upload to be taken.

    Raises:
        RunError: the home folder or its index cannot be used.
    """

    def __init__(
        self, home: Path | str | None = None, *, assets: Path | None = None, quota: int = 20 << 30
    ) -> None:
        self.home = Path(home).resolve() if home is not None else default_home()
        self._assets = _ASSETS if assets is None else assets
        self.shelf = Shelf(self.home, self._assets, quota)
        try:
            with FileLock(self.home / "store.lock"):
                self.index = RunIndex(self.home / "basinscope.sqlite")
                if self.index.rebuilt:
                    self._restore()
        except OSError as error:
            raise unusable(self.home, error) from error

    def submit(self, spec: Spec, title: str = "") -> str:
        """Ask a question; return its run's id.

        A finished run is not computed again, a waiting or running one is joined; a failed,
        cancelled or damaged one is queued anew and goes on after its finished tiles.

        Raises:
            RunError: a checkpoint, data set or upload that it names is not stored here.
        """
        run_id = spec.run_id
        if self._answered(spec):
            return run_id
        row = self.index.row(run_id)
        if row is None or row["state"] not in ("queued", "running"):
            self._require(spec)
            self._enqueue(spec, title)
        return run_id

    def recompute(self, run_id: str) -> None:
        """Queue a finished run anew, a built-in one too; its whole tiles are used.

        Raises:
            RunError: the run is unknown, or what it needs is no longer stored.
        """
        spec, title = self.spec(run_id), self.status(run_id).title
        self._require(spec)
        self._enqueue(spec, title)

    def status(self, run_id: str) -> RunStatus:
        """Return where a run stands; cheap enough to ask several times a second.

        Raises:
            RunError: the run is unknown.
        """
        row = self.index.row(check_run_id(run_id))
        if row is None:
            return self._builtin_status(run_id)
        waiting = row["state"] == "queued"
        return status_of(dict(row), self.index.ahead(row["lane"], row["created"]) if waiting else 0)

    def list(self, kind: str | None = None) -> tuple[RunStatus, ...]:
        """Return all runs, newest first, built-in ones last; of one kind when that is given."""
        found = {row["run_id"]: status_of(dict(row)) for row in self.index.rows()}
        for folder in sorted((self._assets / "runs").glob("[0-9a-f]*")):
            if folder.name not in found and (folder / RESULT_FILE).is_file():
                with suppress(RunError):  # one that this version cannot read is not listed
                    found[folder.name] = self._builtin_status(folder.name)
        return tuple(status for status in found.values() if kind in (None, status.kind))

    def spec(self, run_id: str) -> Spec:
        """Return what a run was asked.

        Raises:
            RunError: the run is unknown or its spec is damaged.
        """
        folder = self.run_folder(run_id)
        try:
            spec = parse_spec((folder / "spec.json").read_bytes())
        except FileNotFoundError:
            raise RunError(f"There is no run {run_id} here.") from None
        except SpecError as error:
            raise RunError(f"The spec of run {run_id} is damaged: {error}") from error
        if spec.run_id != run_id:
            raise RunError(f"The spec of run {run_id} is damaged: it belongs to {spec.run_id}.")
        return spec

    def result(self, run_id: str) -> Result:
        """Return a finished run's result.

        Raises:
            RunError: the run is unknown, unfinished or failed, or its result is damaged.
        """
        status = self.status(run_id)
        if status.state != "done":
            why = f": {status.reason}" if status.reason else "."
            raise RunError(f"The run {run_id} has no result, it is {status.state}{why}")
        return read_result(self.run_folder(run_id))

    def partial(self, run_id: str) -> Partial:
        """Return what an unfinished run has so far: its finished tiles, merged.

        Raises:
            RunError: the run is unknown.
        """
        return read_partial(self.run_folder(run_id), self.spec(run_id))

    def events(self, run_id: str, after: int = 0) -> EventBatch:
        """Return what happened since `after`, the `after` of the last batch; 0 for all."""
        return read_events(self.run_folder(run_id) / "events.jsonl", after)

    def cancel(self, run_id: str) -> None:
        """Cancel a waiting run; ask a running one to stop after its current tile."""
        self.index.cancel(check_run_id(run_id))

    def delete(self, run_id: str) -> None:
        """Delete a run and its files; checkpoints and data stay.

        Raises:
            RunError: it is unknown, built in, waiting or running.
        """
        state = self.status(run_id)
        if state.builtin:
            raise RunError("A built-in run cannot be deleted.")
        if not self.index.remove(run_id):
            raise RunError(f"The run {run_id} is {state.state}; cancel it before you delete it.")
        folder = self.home / "runs" / run_id
        bin_folder = folder.with_name(f".deleted-{run_id}-{uuid4().hex}")
        if folder.exists():
            folder.rename(bin_folder)
            shutil.rmtree(bin_folder, ignore_errors=True)

    def run_folder(self, run_id: str) -> Path:
        """Return a run's folder; the built-in one where this home has none of its own."""
        own = self.home / "runs" / check_run_id(run_id)
        builtin = self._assets / "runs" / run_id
        return builtin if not own.exists() and builtin.is_dir() else own

    def file(self, run_id: str, name: str) -> Path:
        """Return a further file of a finished run, `permutation.safetensors` for one.

        Raises:
            RunError: the run has no such file.
        """
        folder = self.run_folder(run_id)
        if name not in {path.name for path in folder.glob("[a-z]*") if path.is_file()}:
            raise RunError(f"The run {run_id} has no file {name[:80]!r}.")
        return folder / name

    def tiles(self, run_id: str) -> DiskTiles:
        """Return a run's tiles."""
        return DiskTiles(self.home / "runs" / check_run_id(run_id) / "tiles")

    def save_result(self, run_id: str, outcome: Outcome) -> None:
        """Write what a job has found; `result.npz` comes last, so it is there or whole."""
        folder = self.home / "runs" / check_run_id(run_id)
        for name, write in outcome.files.items():
            with replacing(folder / name) as temporary:
                write(temporary)
        provenance = json.dumps(finite(outcome.provenance), indent=1, allow_nan=False)
        write_bytes(folder / PROVENANCE_FILE, provenance.encode())
        summary = json.dumps(finite(outcome.summary), sort_keys=True, allow_nan=False)
        arrays = {**outcome.arrays, "summary": np.array(summary)}
        write_bytes(folder / RESULT_FILE, pack_arrays(arrays))

    def _enqueue(self, spec: Spec, title: str) -> None:
        run_id, text = spec.run_id, spec.canonical
        write_bytes(self.home / "runs" / run_id / "spec.json", text.encode())
        known = {"kind": spec.kind, "lane": spec.lane, "title": title or spec.kind, "spec": text}
        if not self.index.add(run_id, **known):
            self.index.again(run_id, text)

    def _answered(self, spec: Spec) -> bool:
        """Whether a whole, still valid answer is stored; a damaged one is computed again."""
        try:
            if not spec.pinned or self.status(spec.run_id).state != "done":
                return False
            summary = self.result(spec.run_id).summary
            if isinstance(spec, IngestSpec | IngestFilesSpec):
                self.shelf.checkpoint(str(summary["sha256"]))
            if isinstance(spec, IngestDataSpec):
                self.shelf.data_path(str(summary["sha256"]))
        except (RunError, KeyError):
            return False
        return True

    def _require(self, spec: Spec) -> None:
        if isinstance(spec, CompareSpec | MethodsSpec | PairSpec):
            self.shelf.checkpoint(spec.a)
            self.shelf.checkpoint(spec.b)
        if isinstance(spec, CompareSpec | MethodsSpec) and spec.data.sha256 is not None:
            self.shelf.data_path(spec.data.sha256)
        if isinstance(spec, InspectSpec | SelfTestSpec):
            self.shelf.checkpoint(spec.checkpoint)
        if isinstance(spec, IngestSpec | IngestDataSpec | HeadersSpec) and spec.upload is not None:
            self.shelf.upload_path(spec.upload)
        if isinstance(spec, IngestFilesSpec | FilesHeadersSpec):
            for file in spec.files:
                self.shelf.upload_path(file.upload)

    def _builtin_status(self, run_id: str) -> RunStatus:
        folder = self._assets / "runs" / run_id
        if not (folder / RESULT_FILE).is_file():
            raise RunError(f"There is no run {run_id} here.")
        title = str(read_provenance(folder).get("title", "Built in"))
        kind = self.spec(run_id).kind
        return RunStatus(run_id, kind, title, "done", fraction=1.0, builtin=True)

    def _restore(self) -> None:
        """Enter the runs found on disk into an index that was lost."""
        for folder in sorted((self.home / "runs").glob("[0-9a-f]*")):
            try:
                spec = self.spec(folder.name)
            except RunError as error:
                _log.warning("%s is left out of the index: %s", folder.name, error)
                continue
            known = {"kind": spec.kind, "lane": spec.lane, "title": spec.kind}
            self.index.add(spec.run_id, **known, spec=spec.canonical)
            done = (folder / RESULT_FILE).is_file()
            state = ("done", None) if done else ("failed", _LOST)
            self.index.finish(spec.run_id, "queued", *state)
