"""Which training samples a study resets BatchNorm statistics with, or repairs its points with."""

from __future__ import annotations

import torch

from engine.data import Dataset
from engine.landscape import ResetData
from engine.program import Program
from engine.studies.options import CompareOptions


def statistics_kind(options: CompareOptions, program: Program) -> str:
    """Return which of `STATISTICS` is done at each point; a reset needs BatchNorm."""
    if options.statistics == "repair":
        return "repair"
    asked = options.reset if options.statistics is None else options.statistics == "reset"
    wanted = bool(program.batch_norms) if asked is None else asked
    return "reset" if wanted and program.batch_norms else "interpolate"


def reset_data(options: CompareOptions, program: Program, train: Dataset) -> ResetData | None:
    """Return the samples for a reset or REPAIR at each point; None where neither is done."""
    if statistics_kind(options, program) == "interpolate":
        return None
    # Drawn: samples stand in the order of their file, which may be by class.
    generator = torch.Generator().manual_seed(options.data_seed)
    order = torch.randperm(len(train), generator=generator)
    chosen = order[: options.reset_samples]
    return ResetData(tuple(tensor[chosen] for tensor in train.tensors))
