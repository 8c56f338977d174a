"""The drawn sample on which a progressive plane is evaluated first, where that pays."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from engine.data import Dataset
from engine.landscape.progressive import draw_sample
from engine.studies.evaluation import Work

TENTH = 10
FEWEST = 250
"""Samples: a tenth of all, but at least so many, so that every class has some."""

DEAREST = 0.5
"""A point on the sample must cost at most this share of a point on all data."""


@dataclass(frozen=True)
class PlaneSample:
    """A sample of a split, as work of its own.

    Attributes:
        work: whose split `split` holds the drawn samples alone.
        split: its name there.
        count, total: how many were drawn, of how many.
        cost: of a point on it, as a share of one on all data.
    """

    work: Work
    split: str
    count: int
    total: int
    cost: float

    @staticmethod
    def drawn(work: Work, split: str, seed: int) -> PlaneSample | None:
        """Return a sample of a split, stratified by class; None where it would not pay.

        Args:
            seed: of the draw.
        """
        data = work.data[split]
        total = len(data)
        count = max(FEWEST, total // TENTH)
        # BatchNorm statistics cost as much on a sample as on all data.
        again = 0 if work.reset is None else work.reset.samples
        cost = (count + again) / (total + again)
        if cost > DEAREST:
            return None
        name = f"{split}-sample"
        sample = replace(work, data={name: _part(data, count, seed)})
        return PlaneSample(sample, name, count, total, cost)


def _part(data: Dataset, count: int, seed: int) -> Dataset:
    index = draw_sample(data.targets, count, seed)
    parts = tuple(tensor[index] for tensor in data.tensors)
    selection = f"{data.sha256}|{count} by class with seed {seed}"
    return replace(
        data,
        inputs=parts if isinstance(data.inputs, tuple) else parts[0],
        targets=data.targets[index],
        sha256=hashlib.sha256(selection.encode()).hexdigest(),
    )
