"""Events: appended line by line, read while they are written, whole after a crash."""

from __future__ import annotations

import json
from pathlib import Path

from engine.runs.events import EventLog, finite, read_events


def test_events_come_back_in_order_and_only_once(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "run" / "events.jsonl")
    log.append({"kind": "sweep", "sweep": 1})
    first = read_events(tmp_path / "run" / "events.jsonl")
    log.append({"kind": "sweep", "sweep": 2})
    second = read_events(tmp_path / "run" / "events.jsonl", first.after)
    log.close()
    assert [event["sweep"] for event in first.events] == [1]
    assert [event["sweep"] for event in second.events] == [2]
    assert read_events(tmp_path / "run" / "events.jsonl", second.after).events == ()


def test_a_run_without_events_has_none(tmp_path: Path) -> None:
    assert read_events(tmp_path / "events.jsonl").events == ()


def test_half_a_line_is_left_until_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"n":1}\n{"n":')
    batch = read_events(path)
    assert [event["n"] for event in batch.events] == [1]
    with path.open("ab") as stream:
        stream.write(b"2}\n")
    assert [event["n"] for event in read_events(path, batch.after).events] == [2]


def test_a_writer_after_a_crash_starts_on_its_own_line(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"n":1}\n{"n":')
    log = EventLog(path)
    log.append({"n": 3})
    log.close()
    assert [event["n"] for event in read_events(path).events] == [1, 3]


def test_lines_that_are_no_events_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'[1]\n\xff\xfe\nnull\n{"n":1}\n')
    assert [event["n"] for event in read_events(path).events] == [1]


def test_a_place_beyond_the_end_starts_over(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"n":1}\n')
    assert len(read_events(path, 10_000).events) == 1
    assert len(read_events(path, -5).events) == 1


def test_what_json_cannot_say_becomes_null(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    log.append({"loss": float("nan"), "all": (1.0, float("inf")), "deep": {"x": [float("-inf")]}})
    log.close()
    line = (tmp_path / "events.jsonl").read_text()
    assert json.loads(line) == {"loss": None, "all": [1.0, None], "deep": {"x": [None]}}
    assert finite({1: True}) == {"1": True}


def test_a_line_nested_without_end_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"[" * 100_000 + b"\n" + b'{"n":1}\n')
    assert read_events(path).events == ({"n": 1},)
