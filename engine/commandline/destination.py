"""Where results go, checked before anything is computed: hours of work must find a place."""

from __future__ import annotations

import tempfile
from pathlib import Path

from engine.errors import SpecError


def output_file(text: str, *inputs: str) -> Path:
    """Return the path of a file that can be written and is none of the inputs.

    Args:
        text: what the user gave.
        inputs: what else the command names: files that must survive it.

    Raises:
        SpecError: it is a folder, a device or an input, or its folder cannot be written to.
    """
    path = Path(text)
    if path.is_dir():
        raise SpecError(f"the output '{text}' is a folder; name a file in it")
    if path.exists() and not path.is_file():
        raise SpecError(f"the output '{text}' is no regular file; name another")
    for other in inputs:
        if path == Path(other) or (path.exists() and _is_same(path, Path(other))):
            raise SpecError(f"the output '{text}' is also '{other}'; name another file")
    _check_writable(path.parent, text)
    return path


def output_folder(text: str) -> Path:
    """Return the path of a folder that can be written to, created if absent.

    Raises:
        SpecError: it is a file, or cannot be written to.
    """
    if not text:
        raise SpecError("the output has an empty name; name a folder")
    path = Path(text)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise SpecError(f"the output '{text}' is a file; name a folder") from error
    except OSError as error:
        raise _refused(path, text, error) from error
    _check_writable(path, text)
    return path


def _is_same(path: Path, other: Path) -> bool:
    return other.exists() and path.samefile(other)


def _check_writable(folder: Path, text: str) -> None:
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise _refused(folder, text, error) from error


def _refused(folder: Path, text: str, error: OSError) -> SpecError:
    reason = error.strerror or error
    return SpecError(f"the output '{text}' cannot be written: {folder}: {reason}; name another")
