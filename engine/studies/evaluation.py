"""How the tiles of a study are evaluated: on which data, with which reset, by whom.

A `TileExecutor` takes the tiles that are not kept yet and hands each back when it is finished, in
any order: here one after the other in this process; over several processes or machines in
`engine.runs.executors`. Which numbers come out does not depend on it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from engine.data import Dataset
from engine.errors import CancelledError
from engine.landscape import ResetData, evaluate
from engine.landscape.plans import Adapted, plan_for
from engine.program import Program
from engine.repair import PointRepair
from engine.studies.recipe import ProgramRecipe
from engine.studies.stages import Approach, Countdown
from engine.studies.tiles import Tile, TileCache, belongs, tally_arrays

Finished = Callable[[Tile, Mapping[str, np.ndarray]], None]


class TileExecutor(Protocol):
    """Evaluates tiles, somewhere."""

    def run(
        self,
        work: Work,
        tiles: Sequence[Tile],
        *,
        finished: Finished,
        point: Callable[[Tile], None],
        should_stop: Callable[[], bool],
    ) -> None:
        """Evaluate every tile and hand each over as soon as it is finished.

        Args:
            work: what all tiles have in common.
            tiles: in the order in which they are wanted.
            finished: takes a tile and its arrays; called from this thread.
            point: told of each evaluated point of a tile, where that is known before its end.
            should_stop: asked between tiles or batches.

        Raises:
            CancelledError: should_stop said so; tiles handed over stay.
        """
        ...


@dataclass(frozen=True)
class Work:
    """What all tiles of a study have in common.

    Attributes:
        program: the model.
        recipe: how another process makes the same Program; None where a caller gave it.
        data: samples by split.
        reset: training inputs for BatchNorm statistics, or for REPAIR; None for neither.
        device: "cpu" or a CUDA device.
        precision: one of `engine.landscape.plans.PRECISIONS`.
        repairing: whether points are repaired with the training inputs, not only reset.
        plan: how points are computed; by fixed rules, so the same in every process.
        repair: what is done to every point, where they are repaired.
    """

    program: Program
    recipe: ProgramRecipe | None
    data: Mapping[str, Dataset]
    reset: ResetData | None
    device: str
    precision: str = "exact"
    repairing: bool = False
    plan: Adapted = field(init=False, compare=False)
    repair: PointRepair | None = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "plan", plan_for(self.precision))
        repair = PointRepair(self.reset) if self.repairing and self.reset else None
        object.__setattr__(self, "repair", repair)

    @property
    def renewed(self) -> ResetData | None:
        """Training inputs with which BatchNorms alone are reset; None where points are repaired."""
        return None if self.repairing else self.reset

    @property
    def tf32(self) -> bool:
        """Whether products may be rounded as TF32 does."""
        return self.precision == "tf32"

    def evaluate(
        self, tile: Tile, point: Callable[[Tile], None], should_stop: Callable[[], bool]
    ) -> dict[str, np.ndarray]:
        """Return the arrays of one tile."""
        # BatchNorm statistics that were not reset are those that came with a model.
        own = tile.key.startswith("ends")
        tally = evaluate(
            self.program,
            tile.span,
            tile.coefficients,
            self.data[tile.split],
            reset=None if own else self.renewed,
            repair=None if own else self.repair,
            progress=lambda done: point(tile),
            should_stop=should_stop,
            device=self.device,
            plan=self.plan,
            tf32=self.tf32,
        )
        return tally_arrays(tally, tile.index)


class InTurn:
    """One tile after the other, in this process."""

    def run(
        self,
        work: Work,
        tiles: Sequence[Tile],
        *,
        finished: Finished,
        point: Callable[[Tile], None],
        should_stop: Callable[[], bool],
    ) -> None:
        """See `TileExecutor`."""
        for tile in tiles:
            if should_stop():
                raise CancelledError("cancelled; finished tiles are kept")
            finished(tile, work.evaluate(tile, point, should_stop))


@dataclass(frozen=True)
class Evaluation:
    """Work with the place where its tiles are kept, who evaluates them, and when to stop."""

    work: Work
    cache: TileCache
    executor: TileExecutor
    should_stop: Callable[[], bool]

    def run(self, groups: Sequence[tuple[str, Tile]], countdown: Countdown | Approach) -> None:
        """Evaluate every tile that the cache does not have.

        Args:
            groups: (stage, tile) in the order in which they are wanted.
            countdown: told of points and tiles.

        Raises:
            CancelledError: between tiles or batches, when asked to stop.
        """
        stages = {tile.key: stage for stage, tile in groups}
        wanted = []
        for stage, tile in groups:
            kept = self.cache.get(tile.key)
            if kept is not None and belongs(kept, tile):
                countdown.tile(stage, tile.key, len(tile.index))
            else:
                wanted.append(tile)
        told: dict[str, int] = dict.fromkeys(stages, 0)

        def point(tile: Tile) -> None:
            told[tile.key] += 1
            countdown.point(stages[tile.key])

        def finished(tile: Tile, arrays: Mapping[str, np.ndarray]) -> None:
            self.cache.put(tile.key, arrays)
            for _ in range(len(tile.index) - told[tile.key]):
                countdown.point(stages[tile.key])
            countdown.tile(stages[tile.key], tile.key, 0)

        self.executor.run(
            self.work, wanted, finished=finished, point=point, should_stop=self.should_stop
        )
