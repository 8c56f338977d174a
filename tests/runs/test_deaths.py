"""Why a worker died, in a sentence."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from engine.runs.deaths import death_cause, oom_kills


@pytest.mark.parametrize(
    ("returncode", "before", "now", "sentence"),
    [
        (-9, 3, 4, "because memory ran out. Use fewer samples"),
        (None, 0, 1, "because memory ran out"),
        (-9, 3, 3, r"was killed \(SIGKILL\)"),
        (-9, None, 4, r"was killed \(SIGKILL\)"),
        (-11, 3, 4, r"signal 11 \(SIGSEGV\)"),
        (-63, None, None, r"signal 63 \(unknown\)"),
        (3, None, None, "exit code 3; its log in the home folder says why"),
        (None, None, None, "died while nobody watched"),
    ],
)
def test_the_cause_is_told(
    returncode: int | None, before: int | None, now: int | None, sentence: str
) -> None:
    assert re.search(sentence, death_cause(returncode, before, now))


def test_the_first_counter_that_counts_is_read(tmp_path: Path) -> None:
    events = tmp_path / "memory.events"
    events.write_text("low 0\noom 2\noom_kill 5\n")
    other = tmp_path / "vmstat"
    other.write_text("oom_kill 77\n")
    assert oom_kills((tmp_path / "absent", events, other)) == 5
    events.write_text("oom_kill many\n")
    assert oom_kills((events,)) is None
    assert oom_kills((tmp_path / "absent",)) is None
