"""A laid-out plane as tiles, and what its finished tiles say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor

from engine.data.task import REGRESSION
from engine.landscape import Span, check_plane, evaluate_model
from engine.landscape.planes import LaidPlane
from engine.studies.edges import SPLITS, point_summary
from engine.studies.evaluation import Evaluation
from engine.studies.task import baseline
from engine.studies.tiles import Tile, TileCache, coarse_first, gather, split_into_tiles

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class PlaneTiles:
    """What is evaluated.

    Attributes:
        laid: the plane.
        split: of its losses.
        ends: the models themselves with their own statistics, by split.
        corners: the models that lie on the plane, as points of it.
        projected: every model of a trajectory at its place on the plane; none for other kinds.
        grid: coarse points first.
    """

    laid: LaidPlane
    split: str
    ends: Mapping[str, tuple[Tile, ...]]
    corners: tuple[Tile, ...]
    projected: tuple[Tile, ...]
    grid: tuple[Tile, ...]

    @staticmethod
    def of(laid: LaidPlane, models: tuple[Tensors, ...], split: str) -> PlaneTiles:
        """Return the tiles of a plane and its models."""
        plane = laid.plane
        own = Span(tuple(f"model {n}" for n in range(1, len(models) + 1)), models)
        eye = torch.eye(len(models), dtype=torch.float64)
        places = torch.tensor(laid.facts.get("trajectory", []), dtype=torch.float64).reshape(-1, 2)
        at = torch.stack((1 - places.sum(1), places[:, 0], places[:, 1]), dim=1)
        order = coarse_first(len(plane.v), len(plane.u))
        return PlaneTiles(
            laid,
            split,
            {s: split_into_tiles("ends", own, eye, s) for s in SPLITS},
            split_into_tiles("corners", plane.span, plane.corners, split),
            split_into_tiles("projected", plane.span, at, split) if len(at) else (),
            split_into_tiles("plane", plane.span, plane.coefficients, split, order),
        )

    @property
    def every(self) -> list[tuple[str, Tile]]:
        """(stage, tile) in the order in which they are wanted."""
        ends = [("ends", tile) for tiles in self.ends.values() for tile in tiles]
        others = (*self.corners, *self.projected, *self.grid)
        return ends + [("plane", tile) for tile in others]

    def arrays(self, cache: TileCache) -> dict[str, np.ndarray]:
        """Return the grid [V, U] and the models' own values [K], from finished tiles."""
        plane = self.laid.plane
        shape = (len(plane.v), len(plane.u))
        arrays = {
            f"plane_{self.split}_{name}": values.reshape(shape)
            for name, values in gather(self.grid, cache).items()
        }
        arrays |= {"plane_u": plane.u, "plane_v": plane.v}
        for split, tiles in self.ends.items():
            arrays |= {f"models_{split}_{n}": v for n, v in gather(tiles, cache).items()}
        if self.projected:
            found = gather(self.projected, cache)
            arrays |= {f"projected_{self.split}_{name}": v for name, v in found.items()}
            arrays["trajectory"] = np.array(self.laid.facts["trajectory"])
            arrays["off_plane"] = np.array(self.laid.facts["off_plane"])
        return arrays

    def checks(self, evaluation: Evaluation, names: tuple[str, ...]) -> dict[str, object]:
        """Return the corners' losses, how far they are from their models, and measured axes."""
        work, laid = evaluation.work, self.laid
        corners = gather(self.corners, evaluation.cache)["loss"]
        own = [
            evaluate_model(
                work.program,
                model,
                work.data[self.split],
                reset=work.reset,
                should_stop=evaluation.should_stop,
                device=work.device,
            ).loss.item()
            for model in laid.on_plane.values()
        ]
        return {
            "corners": dict(zip(laid.on_plane, corners.tolist(), strict=True)),
            "corner_difference": float(np.abs(corners - np.array(own)).max()),
            "measured": asdict(check_plane(laid.plane, list(laid.on_plane.values()), names)),
        }

    def points(self, evaluation: Evaluation) -> list[dict[str, dict[str, object]]]:
        """Return what each model achieves by itself on both splits, in the task's own terms."""
        data, cache = evaluation.work.data, evaluation.cache
        references = {s: baseline(d) if d.task is REGRESSION else None for s, d in data.items()}
        curves = {split: gather(tiles, cache) for split, tiles in self.ends.items()}
        count = sum(len(tile.index) for tile in self.ends["test"])
        return [
            {s: point_summary(c, n, data[s].task, references[s]) for s, c in curves.items()}
            for n in range(count)
        ]
