"""Finished pieces of a run on disk, one `.npz` a tile: what a killed run goes on from.

A tile depends on the run's spec and its key alone, so a stored one may be used instead of
computing it. A damaged tile is dropped and computed again.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np

from engine.errors import RunError
from engine.runs.files import read_arrays, write_arrays

_log = logging.getLogger(__name__)
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class TileCache(Protocol):
    """Where a study keeps its finished tiles."""

    def get(self, key: str) -> dict[str, np.ndarray] | None:
        """Return the tile's arrays, or None when it must be computed."""
        ...

    def put(self, key: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep a finished tile."""
        ...


class DiskTiles:
    """A `TileCache` in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, key: str) -> dict[str, np.ndarray] | None:
        """Return the tile's arrays, or None when it is absent or damaged."""
        path = self._path(key)
        try:
            return read_arrays(path)
        except FileNotFoundError:
            return None
        except RunError as error:
            _log.warning("tile %s is computed again: %s", key, error)
            path.unlink(missing_ok=True)
            return None

    def put(self, key: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep a finished tile; it survives the death of this process."""
        write_arrays(self._path(key), arrays)

    def keys(self) -> tuple[str, ...]:
        """Return the keys of all finished tiles, sorted."""
        try:
            names = [path.name for path in self.folder.iterdir()]
        except FileNotFoundError:
            return ()
        keys = (name.removesuffix(".npz") for name in names if name.endswith(".npz"))
        return tuple(sorted(key for key in keys if _KEY.fullmatch(key)))

    def _path(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise RunError(f"{key!r} is no tile: letters, digits, '.', '_' and '-' make a key.")
        return self.folder / f"{key}.npz"


def fits(index: np.ndarray | None, size: int) -> bool:
    """Say whether a tile's points are among those of a grid or curve; a damaged one is left out.

    Args:
        index: of the tile's points, as it was kept.
        size: how many points there are.
    """
    if index is None or index.ndim != 1 or index.dtype.kind not in "iu":
        return False
    return bool(np.all((index >= 0) & (index < size)))
