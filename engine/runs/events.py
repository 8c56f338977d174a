"""What happens during a run, one JSON object a line in `events.jsonl`, only ever appended.

A process killed in mid-line leaves half a line: a reader ignores what is not a whole line
or no JSON object, and the next writer starts on a line of its own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.runs.files import parse_json

Event = Mapping[str, Any]


@dataclass(frozen=True)
class EventBatch:
    """Events read, and the place from which the next call goes on.

    Attributes:
        events: the events, oldest first.
        after: pass this as `after` to get only what is new.
    """

    events: tuple[Event, ...]
    after: int


class EventLog:
    """The writer's end of one `events.jsonl`; one process writes, any number read."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._stream = path.open("ab")
        if not _ends_whole(path):
            self._write(b"\n")

    def append(self, event: Event) -> None:
        """Append one event; NaN and infinite numbers become null."""
        self._write(_line(event))

    def close(self) -> None:
        """Flush to the disk and close."""
        os.fsync(self._stream.fileno())
        self._stream.close()

    def _write(self, data: bytes) -> None:
        self._stream.write(data)
        self._stream.flush()


def read_events(path: Path, after: int = 0) -> EventBatch:
    """Return the whole events written since `after`; a missing file has none.

    Args:
        path: the `events.jsonl`.
        after: 0 for all, else the `after` of an earlier batch.
    """
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            start = after if 0 <= after <= size else 0
            stream.seek(start)
            data = stream.read()
    except FileNotFoundError:
        return EventBatch((), 0)
    whole = data.rfind(b"\n") + 1
    found = (_parse(line) for line in data[:whole].split(b"\n"))
    return EventBatch(tuple(event for event in found if event is not None), start + whole)


def finite(value: Any) -> Any:
    """Return `value` with every NaN and infinity in it replaced by None, as JSON needs."""
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


def _line(event: Event) -> bytes:
    return json.dumps(finite(event), allow_nan=False, separators=(",", ":")).encode() + b"\n"


def _parse(line: bytes) -> Event | None:
    try:
        event = parse_json(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None


def _ends_whole(path: Path) -> bool:
    with path.open("rb") as stream:
        if stream.seek(0, os.SEEK_END) == 0:
            return True
        stream.seek(-1, os.SEEK_END)
        return stream.read(1) == b"\n"
