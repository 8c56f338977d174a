from __future__ import annotations

import pytest
import torch

from engine.errors import LandscapeError
from engine.landscape import line


def test_rows_run_from_the_first_model_to_the_second():
    c = line(25)
    assert c.dtype == torch.float64
    assert c.shape == (25, 2)
    assert c[0].tolist() == [1, 0]
    assert c[12].tolist() == [0.5, 0.5]
    assert c[-1].tolist() == [0, 1]
    torch.testing.assert_close(c.sum(1), torch.ones(25, dtype=torch.float64))
    assert (c[:, 1].diff() > 0).all()


def test_one_point_is_no_line():
    with pytest.raises(LandscapeError, match="at least 2 points"):
        line(1)
