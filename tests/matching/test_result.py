"""Every stop reason tells the user why in one sentence."""

from __future__ import annotations

import pytest

from engine.matching import StopReason


@pytest.mark.parametrize("reason", StopReason)
def test_each_stop_reason_has_a_sentence(reason):
    assert reason.sentence.endswith(".")
    assert len({other.sentence for other in StopReason}) == len(StopReason)
