"""How far a study is: a stage's share, told where it rises, with the time left."""

from __future__ import annotations

import pytest

from engine.studies import stages as under_test
from engine.studies.stages import Share, Stages


def test_a_share_is_told_as_it_rises_with_the_time_left(monkeypatch):
    now = iter((0.0, 2.0, 5.0, 9.0))
    monkeypatch.setattr(under_test.time, "perf_counter", lambda: next(now))
    events: list = []
    tell = Share(Stages(events.append), "match", 0.1, 0.2)
    for share in (0.25, 0.255, 0.2, 0.5, 1.5, 1.0):
        tell(share)
    assert [event["fraction"] for event in events] == pytest.approx([0.125, 0.15, 0.2])
    assert [event["eta"] for event in events] == pytest.approx([6.0, 5.0, 0.0])
    assert {(event["kind"], event["stage"]) for event in events} == {("stage", "match")}


def test_a_share_of_nothing_is_not_told():
    events: list = []
    tell = Share(Stages(events.append), "match", 0.1, 0.2)
    tell(0.0)
    tell(0.001)
    assert events == []
