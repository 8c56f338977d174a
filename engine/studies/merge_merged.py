"""The merged model of a study, without and with repairs, and the table that it stands in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.data import Dataset
from engine.errors import RepairError
from engine.merging import average
from engine.program import Program
from engine.repair import Repaired, repair
from engine.repair import obstacle as repair_obstacle
from engine.repair.catalogue import REPAIRS
from engine.studies.merge_models import Models
from engine.studies.merge_options import MergeOptions
from engine.studies.merge_scores import ENSEMBLE, INPUT, MERGED, NAIVE, REPAIRED, Row

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class Merged:
    """The merged model without and with repairs.

    Args:
        plain: the average of the aligned models.
        final: it, repaired where repairs were asked for.
        repaired: what the repairs found; None without any.
        repairs: their keys.
    """

    plain: Tensors
    final: Tensors
    repaired: Repaired | None
    repairs: tuple[str, ...]

    def summary(self) -> dict[str, object]:
        """Return which repairs were done and what they have to say."""
        done = self.repaired
        return {
            "repairs": list(self.repairs),
            "notes": [] if done is None else list(done.notes),
            "temperature": 1.0 if done is None else done.temperature,
            "folded": True if done is None else done.folded,
        }

    def rows(self, models: Models) -> tuple[Row, ...]:
        """Return the lines of the table: inputs, naive average, merged, repaired, ensemble."""
        inputs = [
            Row(f"input-{number:02d}", INPUT, checkpoint.name, (checkpoint.tensors,))
            for number, checkpoint in enumerate(models.checkpoints, start=1)
        ]
        rows = [
            *inputs,
            Row("naive", NAIVE, "naive average", (average(models.tensors),)),
            Row("merged", MERGED, "merged", (self.plain,)),
        ]
        if self.repaired is not None:
            titles = " + ".join(REPAIRS[key].title for key in self.repairs)
            divisor = 1.0 if self.repaired.folded else self.repaired.temperature
            rows.append(Row("repaired", REPAIRED, f"merged, {titles}", (self.final,), divisor))
        rows.append(Row("ensemble", ENSEMBLE, "ensemble of the inputs", models.tensors))
        return tuple(rows)


def merged_model(
    models: Models,
    moved: Sequence[Tensors],
    options: MergeOptions,
    train: Dataset,
    check: Callable[[], None],
    device: str,
) -> Merged:
    """Return the average of aligned models, and it repaired with training samples.

    Raises:
        RepairError: a repair cannot be done on these models and samples.
    """
    plain = average(moved)
    if not options.repairs:
        return Merged(plain, plain, None, ())
    # Drawn: samples stand in the order of their file, which may be by class.
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(options.data_seed))
    chosen = order[: options.repair_samples]
    program = models.program
    repaired = repair(
        program,
        [{name: own[name] for name in program.parameters} for own in moved],
        [1 / len(moved)] * len(moved),
        tuple(tensor[chosen] for tensor in train.tensors),
        repairs=options.repairs,
        targets=train.targets[chosen],
        check=check,
        device=device,
    )
    final = {**plain, **repaired.params}
    final |= {a: final[name] for a, name in program.aliases.items() if a in plain and name in final}
    return Merged(plain, final, repaired, options.repairs)


def check_repairs(options: MergeOptions, program: Program) -> None:
    """Raise RepairError for a repair that cannot apply, before anything is computed."""
    for key in options.repairs:
        if (reason := repair_obstacle(key, program)) is not None:
            raise RepairError(reason)
