"""What each model of a merge achieves: loss, accuracy, calibration, kept as tiles."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from engine.data import Dataset
from engine.data.task import REGRESSION
from engine.errors import CancelledError
from engine.program import Program
from engine.repair import ensemble
from engine.studies.edges import SPLITS
from engine.studies.task import baseline, derived
from engine.studies.tiles import TileCache

QUANTITIES = ("loss", "accuracy", "calibration_error")
INPUT, NAIVE, MERGED, REPAIRED, ENSEMBLE = "input", "naive", "merged", "repaired", "ensemble"


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Args:
        key: unique within a run; safe as a file name.
        kind: an input, the naive average, the merged model, it repaired, or the ensemble.
        title: for the user.
        models: the model, or all models of the ensemble.
        temperature: what the logits are still to be divided by.
    """

    key: str
    kind: str
    title: str
    models: tuple[Mapping[str, Tensor], ...]
    temperature: float = 1.0


@dataclass(frozen=True)
class Scores:
    """Evaluates rows on the data.

    Args:
        program: the architecture.
        data: samples by split.
        cache: where finished rows are kept.
        should_stop: asked between batches.
        device: where to compute.
    """

    program: Program
    data: Mapping[str, Dataset]
    cache: TileCache
    should_stop: Callable[[], bool]
    device: str

    def of(self, rows: Sequence[Row], told: Callable[[float], None]) -> list[dict[str, object]]:
        """Return the rows with what each achieves on both splits.

        Args:
            rows: to be evaluated, where they are not kept.
            told: called with the share of finished evaluations.

        Raises:
            CancelledError: asked to stop.
        """
        references = {
            s: baseline(d) if d.task is REGRESSION else None for s, d in self.data.items()
        }
        found, total = [], len(rows) * len(SPLITS)
        for number, row in enumerate(rows):
            line: dict[str, object] = {"key": row.key, "kind": row.kind, "title": row.title}
            for place, split in enumerate(SPLITS, start=1):
                own = self._score(row, split)
                line[split] = own | derived(self.data[split].task, own["loss"], references[split])
                told((number * len(SPLITS) + place) / total)
            found.append(line)
        return found

    def _score(self, row: Row, split: str) -> dict[str, float]:
        key = f"score-{row.key}-{split}"
        kept = self.cache.get(key)
        if kept is None or np.shape(kept.get("score", ())) != (len(QUANTITIES),):
            self.check()
            found = ensemble(
                self.program,
                row.models,
                self.data[split],
                temperatures=[row.temperature] * len(row.models),
                check=self.check,
                device=self.device,
            )
            kept = {"score": np.array([getattr(found, name) for name in QUANTITIES])}
            self.cache.put(key, kept)
        values = [float(value) for value in kept["score"]]
        return dict(zip(QUANTITIES, values, strict=True))

    def check(self) -> None:
        """Raise CancelledError where the user asked for it."""
        if self.should_stop():
            raise CancelledError("cancelled; finished rows are kept")


def mean_of_inputs(rows: Sequence[Mapping[str, object]], split: str) -> dict[str, float]:
    """Return the mean of what the inputs achieve on a split; NaN where one is NaN."""
    inputs = [row[split] for row in rows if row["kind"] == INPUT]
    return {
        name: math.fsum(float(one[name]) for one in inputs) / len(inputs)  # type: ignore[index]
        for name in QUANTITIES
    }
