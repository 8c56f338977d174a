"""Where Basinscope keeps everything that it writes: one folder per user.

The folder is `BASINSCOPE_HOME` when that is set, else the platform's own place for a
program's data. Asking for the folder creates it; nothing else is written here.
"""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def home() -> Path:
    """Return the folder that holds runs, checkpoints and decoded data, created if absent."""
    chosen = os.environ.get("BASINSCOPE_HOME")
    folder = Path(chosen).expanduser() if chosen else Path(platformdirs.user_data_dir("basinscope"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder.resolve()
