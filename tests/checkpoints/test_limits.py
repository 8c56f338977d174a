"""Each cap lets its own value through and refuses one more, naming both numbers."""

from __future__ import annotations

import pytest

from engine.checkpoints import Limits
from engine.errors import LimitError

LIMITS = Limits(header_bytes=10, tensors=2, total_bytes=1000)


def test_the_caps_themselves_are_allowed():
    LIMITS.check_header(10, "header")
    LIMITS.check_count(2)
    LIMITS.check_total(1000)


def test_one_more_is_refused():
    with pytest.raises(LimitError, match="its header takes 11 bytes, more than the limit of 10"):
        LIMITS.check_header(11, "header")
    with pytest.raises(LimitError, match="it holds 3 tensors, more than the limit of 2"):
        LIMITS.check_count(3)
    with pytest.raises(LimitError, match="tensors take 1,001 bytes, more than the limit of 1,000"):
        LIMITS.check_total(1001)


def test_the_defaults_are_those_stated():
    assert Limits().total_bytes == 8 << 30
