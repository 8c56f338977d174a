"""The lines of a comparison of methods: from A to each π(B), plain and with each set of repairs.

Lines are kept as tiles under the digest of the permutation: methods that find the same one share
its lines, and so do comparisons of the same pair that ask for other methods.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from engine.data import Dataset
from engine.errors import CancelledError
from engine.landscape import Span, Tally, evaluate, line
from engine.program import Program
from engine.repair import Workshop
from engine.repair.line import evaluate_point
from engine.studies.edges import SPLITS
from engine.studies.tiles import Tile, TileCache, belongs, gather, split_into_tiles, tally_arrays

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class Seen:
    """What repairs look at: training samples, drawn once.

    Args:
        inputs: one tensor [N, *shape] per input of the program.
        targets: of the N samples.
    """

    inputs: tuple[Tensor, ...]
    targets: Tensor

    @staticmethod
    def draw(train: Dataset, samples: int, seed: int) -> Seen:
        """Return at most so many samples: they stand in the order of their file otherwise."""
        generator = torch.Generator().manual_seed(seed)
        chosen = torch.randperm(len(train), generator=generator)[:samples]
        return Seen(tuple(tensor[chosen] for tensor in train.tensors), train.targets[chosen])


@dataclass(frozen=True)
class Lines:
    """How lines are evaluated: on which data, with what repairs see, where they are kept.

    Args:
        program: the model.
        data: samples by split.
        seen: by the repairs.
        points: λ values per line.
        cache: of finished tiles.
        device: where points are evaluated.
        should_stop: asked between batches.
    """

    program: Program
    data: Mapping[str, Dataset]
    seen: Seen
    points: int
    cache: TileCache
    device: str
    should_stop: Callable[[], bool]

    def curves(
        self,
        ends: tuple[Tensors, Tensors],
        name: str,
        repairs: tuple[str, ...],
        told: Callable[[int], None],
    ) -> dict[str, dict[str, np.ndarray]]:
        """Return, by split, loss and accuracy with their standard errors at each λ, [n] each.

        Args:
            ends: A and π(B), with the Program's tensors alone.
            name: of the line and its repairs; safe in a file name.
            repairs: keys; empty for the plain line.
            told: called with the number of points that are finished, a few at a time.

        Raises:
            CancelledError: asked to stop; finished tiles are kept.
            BasinscopeError: a repair cannot be made.
        """
        span = Span(("A", "π(B)"), ends)
        tiles = {
            split: split_into_tiles(f"line-{name}", span, line(self.points), split)
            for split in SPLITS
        }
        evaluated = self._repaired if repairs else self._plain
        workshop = None
        for group in zip(*tiles.values(), strict=True):
            self.check()
            if all(self._is_kept(tile) for tile in group):
                told(len(SPLITS) * len(group[0].index))
                continue
            if repairs and workshop is None:
                workshop = self._workshop(ends, repairs)
            for tile, tally in zip(group, evaluated(group, workshop, told), strict=True):
                self.cache.put(tile.key, tally_arrays(tally, tile.index))
        return {split: gather(tiles[split], self.cache) for split in SPLITS}

    def _is_kept(self, tile: Tile) -> bool:
        kept = self.cache.get(tile.key)
        return kept is not None and belongs(kept, tile)

    def _workshop(self, ends: tuple[Tensors, Tensors], repairs: tuple[str, ...]) -> Workshop:
        return Workshop(
            self.program,
            ends,
            self.seen.inputs,
            repairs=repairs,
            targets=self.seen.targets,
            check=self.check,
            device=self.device,
        )

    def _plain(
        self, group: tuple[Tile, ...], workshop: Workshop | None, told: Callable[[int], None]
    ) -> list[Tally]:
        return [
            evaluate(
                self.program,
                tile.span,
                tile.coefficients,
                self.data[tile.split],
                progress=lambda done: told(1),
                should_stop=self.should_stop,
                device=self.device,
            )
            for tile in group
        ]

    def _repaired(
        self, group: tuple[Tile, ...], workshop: Workshop | None, told: Callable[[int], None]
    ) -> list[Tally]:
        """Repair each point once and evaluate it on every split."""
        assert workshop is not None
        found: list[list[Tally]] = [[] for _ in group]
        for row in group[0].coefficients.tolist():
            point = workshop.at(row)
            for tile, tallies in zip(group, found, strict=True):
                data = self.data[tile.split]
                tallies.append(
                    evaluate_point(self.program, point, data, check=self.check, device=self.device)
                )
                told(1)
        return [Tally.concat(tallies) for tallies in found]

    def check(self) -> None:
        """Raise CancelledError when asked to stop."""
        if self.should_stop():
            raise CancelledError("cancelled; finished tiles are kept")
