"""Where Basinscope keeps everything that it writes: one folder per user.

The folder is `BASINSCOPE_HOME` when that is set, else the platform's own place for a
program's data. Asking for the folder creates it; nothing else is written here.
"""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from engine.errors import RunError

VARIABLE = "BASINSCOPE_HOME"


def home() -> Path:
    """Return the folder that holds runs, checkpoints and decoded data, created if absent.

    Raises:
        RunError: it cannot be created.
    """
    chosen = os.environ.get(VARIABLE)
    folder = Path(chosen).expanduser() if chosen else Path(platformdirs.user_data_dir("basinscope"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unusable(folder, error) from error
    return folder.resolve()


def unusable(folder: Path, error: OSError) -> RunError:
    """Return the error for a home folder in which nothing can be written."""
    return RunError(
        f"The home folder {folder} cannot be used ({error.strerror or error}); set {VARIABLE} to a "
        "folder that can be written to."
    )
