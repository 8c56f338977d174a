"""What a run has to say: its state, its result, and what is there before it is finished."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, cast

import numpy as np

from engine.errors import RunError
from engine.runs.events import read_events
from engine.runs.files import parse_json, read_arrays
from engine.runs.path_partial import path_arrays
from engine.runs.path_spec import PathSpec
from engine.runs.plane_partial import plane_arrays
from engine.runs.plane_spec import PlaneSpec
from engine.runs.spec import CompareSpec, Spec
from engine.runs.tiles import DiskTiles, fits

State = Literal["queued", "running", "done", "failed", "cancelled"]
STATES = ("queued", "running", "done", "failed", "cancelled")
RESULT_FILE = "result.npz"
PROVENANCE_FILE = "provenance.json"
QUANTITIES = ("loss", "loss_se", "accuracy", "accuracy_se")
ESTIMATES = (*QUANTITIES, "error", "error_interpolation", "error_sampling")


@dataclass(frozen=True)
class RunStatus:
    """Where a run stands.

    Attributes:
        stage: what it is doing, in the study's words; None before it starts.
        fraction: how much is done, 0 to 1.
        eta: seconds left as estimated, or None.
        reason: why it failed, was cancelled or is started again, for the user.
        created, started, finished: seconds since 1970; None when that has not happened.
        attempts: how often a worker has taken it.
        ahead: unfinished runs that come before it; 0 unless it is queued.
        builtin: whether it ships with Basinscope and cannot be deleted.
    """

    run_id: str
    kind: str
    title: str
    state: State
    stage: str | None = None
    fraction: float = 0.0
    eta: float | None = None
    reason: str | None = None
    created: float = 0.0
    started: float | None = None
    finished: float | None = None
    attempts: int = 0
    ahead: int = 0
    builtin: bool = False

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen by itself."""
        return self.state in ("done", "failed", "cancelled")


@dataclass(frozen=True)
class Result:
    """A finished run: arrays by name, a summary as JSON values, and where it was computed."""

    arrays: Mapping[str, np.ndarray]
    summary: Mapping[str, Any]
    provenance: Mapping[str, Any]


@dataclass(frozen=True)
class Partial:
    """What an unfinished run has so far.

    Attributes:
        arrays: as in the result, with NaN where nothing is known yet: curves with `lambdas`,
            the plane with its axes and `plane_done`, bool [V, U]; absent before their first tile.
            `plane_sampled`, bool [V, U], is where a point is known on a drawn sample alone.
            A plane that comes in rounds is all there after the first, with its errors.
        summary: the parts of the summary that are known.
        tiles: the keys of the finished tiles.
    """

    arrays: Mapping[str, np.ndarray]
    summary: Mapping[str, Any]
    tiles: tuple[str, ...]


def status_of(row: Mapping[str, Any], ahead: int = 0) -> RunStatus:
    """Return the status that a row of the index describes; a damaged row is a failed run."""
    run_id = str(row["run_id"])
    try:
        if row["state"] not in STATES:
            raise ValueError(row["state"])
        return RunStatus(
            run_id=run_id,
            kind=str(row["kind"]),
            title=str(row["title"]),
            state=cast(State, row["state"]),
            stage=row["stage"],
            fraction=float(row["fraction"]),
            eta=_number(row["eta"]),
            reason=row["reason"],
            created=float(row["created"]),
            started=_number(row["started"]),
            finished=_number(row["finished"]),
            attempts=int(row["attempts"]),
            ahead=ahead,
        )
    except (TypeError, ValueError):
        reason = "The record of this run is damaged; run it again or delete it."
        return RunStatus(run_id, str(row["kind"]), str(row["title"]), "failed", reason=reason)


def read_result(folder: Path) -> Result:
    """Return the result in a run's folder.

    Raises:
        RunError: it is not there, or damaged; computing it again uses the finished tiles.
    """
    try:
        arrays = read_arrays(folder / RESULT_FILE)
        summary = parse_json(str(arrays.pop("summary")))
        if not isinstance(summary, dict):
            raise ValueError("its summary is no object")
    except FileNotFoundError:
        raise RunError(f"The run {folder.name} has no result yet.") from None
    except (RunError, KeyError, ValueError) as error:
        raise RunError(
            f"The result of run {folder.name} is damaged ({error}). Compute it again:"
            " finished tiles are used where they are whole."
        ) from error
    for array in arrays.values():
        array.flags.writeable = False
    return Result(MappingProxyType(arrays), summary, read_provenance(folder))


def read_provenance(folder: Path) -> Mapping[str, Any]:
    """Return where a run was computed; empty when that is lost, since no number depends on it."""
    try:
        found = parse_json((folder / PROVENANCE_FILE).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def read_partial(folder: Path, spec: Spec) -> Partial:
    """Return what an unfinished run has so far."""
    tiles = DiskTiles(folder / "tiles")
    keys = tiles.keys()
    summary: dict[str, Any] = {}
    for event in read_events(folder / "events.jsonl").events:
        found = event.get("summary") if event.get("kind") == "partial" else None
        summary.update(found if isinstance(found, dict) else {})
    arrays = {}
    if isinstance(spec, CompareSpec):
        arrays = _merge(tiles, keys, spec)
    elif isinstance(spec, PathSpec):
        arrays = path_arrays(tiles, keys, spec, summary)
    elif isinstance(spec, PlaneSpec):
        arrays = plane_arrays(tiles, keys, spec, summary)
    return Partial(arrays, summary, keys)


def _merge(tiles: DiskTiles, keys: tuple[str, ...], spec: CompareSpec) -> dict[str, np.ndarray]:
    u0, u1, v0, v1 = spec.extent
    columns, rows = spec.plane_points, spec.plane_rows or spec.plane_points
    flat: dict[str, np.ndarray] = {}
    looked = not any(key.startswith("plane-") for key in keys)  # else there are better points
    for key in keys:
        name, size = _target(key, spec)
        tile = tiles.get(key) if name and (looked or not key.startswith("look")) else None
        if tile is None or not fits(tile.get("index"), size):
            continue
        index = tile["index"]
        for quantity in QUANTITIES:
            if _holds(tile.get(quantity), index):
                flat.setdefault(f"{name}_{quantity}", np.full(size, np.nan))[index] = tile[quantity]
        if name.startswith("plane"):
            flat.setdefault("plane_done", np.zeros(size, dtype=bool))[index] = True
            flat.setdefault("plane_sampled", np.zeros(size, dtype=bool))[index] = looked
    flat |= _estimated(tiles, keys, rows * columns)
    arrays = {
        name: values.reshape(rows, columns) if name.startswith("plane") else values
        for name, values in flat.items()
    }
    if "plane_done" in arrays:
        arrays |= {"plane_u": np.linspace(u0, u1, columns), "plane_v": np.linspace(v0, v1, rows)}
    if any(name.startswith("curve") for name in arrays):
        arrays["lambdas"] = np.linspace(0.0, 1.0, spec.line_points)
    return arrays


def _estimated(tiles: DiskTiles, keys: tuple[str, ...], size: int) -> dict[str, np.ndarray]:
    """Return the last whole estimate of a plane that comes in rounds: every point has a value."""
    for key in reversed(keys):
        match key.split("-"):
            case ["estimate", split, _]:
                tile = tiles.get(key) or {}
            case _:
                continue
        names = (*ESTIMATES, "evaluated")
        if any(name not in tile or tile[name].shape != (size,) for name in names):
            continue
        found = {f"plane_{split}_{name}": tile[name] for name in ESTIMATES}
        found["plane_evaluated"] = tile["evaluated"]
        sampled = np.zeros(size, dtype=bool)
        return found | {"plane_done": ~sampled, "plane_sampled": sampled}
    return {}


def _target(key: str, spec: CompareSpec) -> tuple[str, int]:
    """Return which arrays a tile belongs to, and how many points these have."""
    match key.split("-"):
        case ["plane", split, _] | ["look", split]:
            return f"plane_{split}", spec.plane_points * (spec.plane_rows or spec.plane_points)
        case ["curve", edge, split, _]:
            return f"curve_{edge}_{split}", spec.line_points
    return "", 0


def _holds(values: np.ndarray | None, index: np.ndarray) -> bool:
    return values is not None and values.shape == index.shape and values.dtype.kind == "f"


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
