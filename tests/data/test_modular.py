"""Modular addition, made by rule."""

from __future__ import annotations

import torch

from engine.data import DATASETS, load_dataset
from engine.data.modular import PRIME, SIZES, VOCABULARY
from engine.data.task import LANGUAGE


def test_every_pair_is_there_once_with_its_sum():
    seen = []
    for split in ("train", "test"):
        data = load_dataset("modular-addition", split)
        assert len(data) == SIZES[split] == DATASETS["modular-addition"].sizes[split]
        assert data.task is LANGUAGE
        assert data.classes == VOCABULARY == DATASETS["modular-addition"].classes
        a, b, equals = data.inputs.unbind(1)
        assert (equals == PRIME).all()
        assert (data.targets[:, :2] == -100).all()
        assert data.targets[:, 2].equal((a + b) % PRIME)
        seen.append(a * PRIME + b)
    assert torch.cat(seen).sort().values.equal(torch.arange(PRIME**2))


def test_the_splits_are_drawn_not_cut():
    data = load_dataset("modular-addition", "test")
    assert data.inputs[:, 0].unique().numel() == PRIME


def test_a_sample_of_it_is_repeatable():
    first, again = (load_dataset("modular-addition", "test", samples=9, seed=1) for _ in range(2))
    assert first.inputs.equal(again.inputs)
    assert first.sha256 == again.sha256
