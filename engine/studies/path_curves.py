"""A trained curve and the straight line beside it, as tiles and as what is measured on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from torch import Tensor

from engine.landscape import Span, geometry_names
from engine.landscape.curve import curve, lengths, off_line, places
from engine.landscape.geometry import gram
from engine.program import Program
from engine.studies.edges import SPLITS, barrier_summary
from engine.studies.path_options import ENDS, PathOptions
from engine.studies.tiles import Tile, TileCache, gather, split_into_tiles
from engine.training.bend_records import BendResult

LINES = {"line": "straight line", "path": "curve"}
RECENT = 20  # steps whose mean is called the loss at the beginning or end of a training

Point = Callable[[Mapping[str, np.ndarray], int, str], dict[str, object]]


@dataclass(frozen=True)
class Curved:
    """A curve from A to an end.

    Args:
        end: key of the end.
        span: A, the bends in order, the end; the Program's tensors alone.
        options: the study's.
        trained: the bends and how they were found.
        products: inner products of the models' differences to A, over the geometry's tensors.
    """

    end: str
    span: Span
    options: PathOptions
    trained: BendResult
    products: Tensor

    @staticmethod
    def of(
        program: Program,
        a: Mapping[str, Tensor],
        end: Mapping[str, Tensor],
        key: str,
        trained: BendResult,
        options: PathOptions,
    ) -> Curved:
        """Return the curve of some trained bends."""
        names = ("A", *(f"bend {k}" for k in range(1, options.bends + 1)), ENDS[key])
        models = (a, *trained.bends, end)
        own = tuple({name: model[name] for name in program.parameters} for model in models)
        products = gram(own, geometry_names(program))
        return Curved(key, Span(names, own), options, trained, products)

    @property
    def places(self) -> np.ndarray:
        """t of every point of the curve, and λ of the line."""
        return places(self.options.points)

    def coefficients(self, at: np.ndarray) -> Tensor:
        """Return the coefficients of points of the curve."""
        return curve(self.options.shape, self.options.bends, at)

    def model_tiles(self) -> dict[str, tuple[Tile, ...]]:
        """Return the tile of A, the bends and the end on every split; no statistics are reset."""
        own = torch.eye(len(self.span.models), dtype=torch.float64)
        index = np.arange(len(own))
        return {s: (Tile(f"ends-{self.end}-{s}", self.span, own, s, index),) for s in SPLITS}

    def line_tiles(self) -> dict[tuple[str, str], tuple[Tile, ...]]:
        """Return the tiles of the straight line and of the curve on every split."""
        at = self.places
        straight = torch.zeros(len(at), len(self.span.models), dtype=torch.float64)
        straight[:, 0], straight[:, -1] = torch.from_numpy(1 - at), torch.from_numpy(at)
        rows = {"line": straight, "path": self.coefficients(at)}
        return {
            (line, split): split_into_tiles(f"{line}-{self.end}", self.span, rows[line], split)
            for split in SPLITS
            for line in LINES
        }

    def arrays(self, cache: TileCache) -> dict[str, np.ndarray]:
        """Return loss and accuracy of the line and the curve, the way along it, the training."""
        measured = lengths(self.options.shape, self.options.bends, self.places, self.products)
        arrays = {
            f"arc_{self.end}": measured.positions,
            f"training_{self.end}_loss": self.trained.losses,
            f"training_{self.end}_t": self.trained.places,
        }
        for line, split in product(LINES, SPLITS):
            for quantity, values in self.values(cache, line, split).items():
                arrays[f"{line}_{self.end}_{split}_{quantity}"] = values
        return arrays

    def values(self, cache: TileCache, line: str, split: str) -> dict[str, np.ndarray]:
        """Return loss and accuracy with standard errors of "line" or "path" on a split, [n]."""
        return gather(self.line_tiles()[line, split], cache)

    def summary(self, cache: TileCache, point: Point) -> dict[str, object]:
        """Return the barriers, the midpoints and what each model achieves.

        Args:
            cache: of finished tiles.
            point: sums up one point of a curve, by its index, on a split.
        """
        at, middle = self.places, self.options.points // 2
        lines = {(line, s): self.values(cache, line, s) for line in LINES for s in SPLITS}
        own = {s: gather(tiles, cache) for s, tiles in self.model_tiles().items()}
        return {
            "barriers": {
                line: {s: barrier_summary(at, lines[line, s]) for s in SPLITS} for line in LINES
            },
            "midpoints": {
                line: {s: point(lines[line, s], middle, s) for s in SPLITS} for line in LINES
            },
            "models": [
                {s: point(own[s], k, s) for s in SPLITS} for k in range(len(self.span.models))
            ],
        }

    def known(self) -> dict[str, object]:
        """Return what is known once the training has ended."""
        losses = self.trained.losses
        measured = lengths(self.options.shape, self.options.bends, self.places, self.products)
        squares = self.products.diagonal().clamp(min=0)
        to_end = (self.products.diagonal() - 2 * self.products[-1] + squares[-1]).clamp(min=0)
        bends = zip(
            squares[:-1].sqrt().tolist(),
            to_end[:-1].sqrt().tolist(),
            off_line(self.products).tolist(),
            strict=True,
        )
        return {
            "end": ENDS[self.end],
            "training": {
                "steps": self.trained.steps,
                "taken": len(losses),
                "first_loss": float(np.mean(losses[:RECENT])),
                "last_loss": float(np.mean(losses[-RECENT:])),
                "diverged": self.trained.diverged,
            },
            "lengths": {"straight": measured.straight, "curve": measured.curve},
            "bends": [
                {"from_a": first, "from_end": last, "off_line": off} for first, last, off in bends
            ],
        }
