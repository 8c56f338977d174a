"""TF32 is forbidden unless allowed, and what was set before comes back."""

from __future__ import annotations

import pytest
import torch

from engine.landscape import evaluator
from engine.landscape.tf32 import tf32_products
from tests.landscape.oracle import setting
from tests.models import MODELS


def settings() -> list[str]:
    cudnn = torch.backends.cudnn
    return [p.fp32_precision for p in (torch.backends.cuda.matmul, cudnn.conv, cudnn.rnn)]


@pytest.mark.parametrize(("allowed", "inside"), [(False, "ieee"), (True, "tf32")])
def test_it_is_set_within_and_set_back_after(allowed, inside):
    before = settings()
    with pytest.raises(KeyError), tf32_products(allowed, "cuda:1"):
        assert settings() == [inside] * 3
        raise KeyError
    assert settings() == before
    with tf32_products(allowed, "cpu"):
        assert settings() == before


@pytest.mark.parametrize("allowed", [False, True])
def test_an_evaluation_says_whether_it_may_be_used(monkeypatch, allowed):
    said = []

    def products(allowed, device):
        said.append((allowed, device))
        return tf32_products(allowed, device)

    monkeypatch.setattr(evaluator, "tf32_products", products)
    program, models, data = setting(MODELS[0], 3)
    evaluator.evaluate_model(program, models[0], data, tf32=allowed)
    assert said == [(allowed, "cpu")]
