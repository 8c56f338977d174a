"""Modular addition, the usual toy of transformers: a + b mod p, without any file.

Every sample is the sequence [a, b, =] of three tokens, and the last position is asked for the
sum (Power et al. 2022; Nanda et al. 2023). All p² pairs are drawn once, with a fixed seed, into
four fifths of training and one fifth of test samples.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

import torch

from engine.data.dataset import RawData
from engine.data.task import IGNORED

PRIME = 97
VOCABULARY = PRIME + 1
"""The numbers 0 … p − 1, and "=" as p."""

LENGTH = 3
TRAIN_SHARE = 0.8
SEED = 0
SIZES = {"train": int(TRAIN_SHARE * PRIME**2), "test": PRIME**2 - int(TRAIN_SHARE * PRIME**2)}


@lru_cache(maxsize=2)
def read_modular(split: str) -> RawData:
    """Return a split: inputs int64 [N, 3], targets int64 [N, 3], −100 but at the last place."""
    order = torch.randperm(PRIME**2, generator=torch.Generator().manual_seed(SEED))
    train = SIZES["train"]
    pairs = (order[:train] if split == "train" else order[train:]).sort().values
    a, b = pairs // PRIME, pairs % PRIME
    inputs = torch.stack((a, b, torch.full_like(a, PRIME)), dim=1)
    targets = torch.full_like(inputs, IGNORED)
    targets[:, -1] = (a + b) % PRIME
    source = f"modular addition, p = {PRIME}, {TRAIN_SHARE} for training, seed {SEED}, {split}"
    return RawData(inputs, targets, VOCABULARY, hashlib.sha256(source.encode()).hexdigest())
