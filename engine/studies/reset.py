"""Which training samples a study resets BatchNorm statistics with."""

from __future__ import annotations

import torch

from engine.data import Dataset
from engine.landscape import ResetData
from engine.program import Program
from engine.studies.options import CompareOptions


def reset_data(options: CompareOptions, program: Program, train: Dataset) -> ResetData | None:
    """Return the samples for a reset at each point; None without BatchNorm, or not asked for."""
    wanted = bool(program.batch_norms) if options.reset is None else options.reset
    if not wanted or not program.batch_norms:
        return None
    # Drawn: samples stand in the order of their file, which may be by class.
    generator = torch.Generator().manual_seed(options.data_seed)
    order = torch.randperm(len(train), generator=generator)
    chosen = order[: options.reset_samples]
    return ResetData(tuple(tensor[chosen] for tensor in train.tensors))
