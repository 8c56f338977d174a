"""Uploads under the names that they came with, for readers that find files by name."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.runs.files_spec import NamedUpload
from engine.runs.shelf import Shelf


@contextmanager
def staged(files: tuple[NamedUpload, ...], shelf: Shelf) -> Iterator[Path]:
    """Yield a folder in which every upload has its own name; nothing is copied.

    Raises:
        RunError: an upload is not stored (any more).
    """
    with tempfile.TemporaryDirectory(prefix="basinscope-") as folder:
        for file in files:
            (Path(folder) / file.name).symlink_to(shelf.upload_path(file.upload))
        yield Path(folder)
