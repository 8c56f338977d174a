"""The average of models keeps names, dtypes and what cannot be averaged."""

from __future__ import annotations

import pytest
import torch

from engine.errors import MatchingError
from engine.merging import average


def test_an_average_keeps_names_dtypes_and_counters():
    a = {
        "w": torch.tensor([1.0, 2.0], dtype=torch.bfloat16),
        "d": torch.tensor([1.0], dtype=torch.float64),
        "steps": torch.tensor(3),
        "own": torch.tensor([5.0]),
    }
    b = {
        "w": torch.tensor([3.0, 5.0]),
        "d": torch.tensor([2.0], dtype=torch.float64),
        "steps": torch.tensor(9),
    }
    found = average([a, b])
    assert list(found) == list(a)
    assert torch.equal(found["w"], torch.tensor([2.0, 3.5], dtype=torch.bfloat16))
    assert (found["d"].item(), found["d"].dtype) == (1.5, torch.float64)
    assert (found["steps"].item(), found["own"].item()) == (3, 5.0)
    found["own"][0] = 7
    assert a["own"].item() == 5.0
    assert average([a, b], (0.25, 0.75))["d"].item() == 1.75


@pytest.mark.parametrize("weights", [(0.5,), (0.5, 0.6)])
def test_weights_must_fit(weights):
    model = {"w": torch.zeros(1)}
    with pytest.raises(MatchingError, match="average of 2 models needs as many weights with the"):
        average([model, model], weights)
