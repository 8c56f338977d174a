"""Progress on stderr: bars where somebody watches, a line for each stage elsewhere."""

from __future__ import annotations

import io
import sys

import pytest

from engine.commandline.output import StageBar, byte_bar

EVENTS = (
    {"kind": "stage", "stage": "proof", "fraction": 0.1, "eta": None},
    {"kind": "stage", "stage": "match", "fraction": 0.2, "eta": 3.0},
    {"kind": "sweep", "sweep": 1, "objective": 12.5},
    {"kind": "stage", "stage": "match", "fraction": 0.5, "eta": 2.0},
    {"kind": "stage", "stage": "done", "fraction": 1.0, "eta": None},
)


class Terminal(io.StringIO):
    """A stream that somebody watches."""

    def isatty(self) -> bool:
        return True


def shown(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO) -> str:
    monkeypatch.setattr(sys, "stderr", stream)
    bar, loaded = StageBar(), byte_bar()
    for event in EVENTS:
        bar(event)
    bar.close()
    for done in (0, 500, 1000):
        loaded(done, 1000)
    return stream.getvalue()


def test_a_log_gets_a_line_for_each_stage(monkeypatch):
    assert shown(monkeypatch, io.StringIO()) == "proving it\nmatching\ndownloading 1,000 bytes\n"


def test_a_terminal_gets_bars(monkeypatch):
    text = shown(monkeypatch, Terminal())
    assert "100% |" in text
    assert "sweep 1: 12.5" in text
    assert "download: " in text
