"""A small pair with BatchNorm, and the tiles of its plane, for every executor."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import nn

from engine.checkpoints import Checkpoint, fingerprint
from engine.data import Dataset
from engine.landscape import ResetData, Span, make_plane
from engine.studies.evaluation import InTurn, TileExecutor, Work
from engine.studies.recipe import ProgramRecipe
from engine.studies.subject import prepare
from engine.studies.tiles import Tile, split_into_tiles

Arrays = Mapping[str, np.ndarray]


def checkpoint(seed: int) -> Checkpoint:
    """Return a perceptron with BatchNorm, with drawn weights and statistics."""
    torch.manual_seed(seed)
    module = nn.Sequential(nn.Linear(12, 9), nn.BatchNorm1d(9), nn.ReLU(), nn.Linear(9, 4))
    tensors = {name: value.detach().clone() for name, value in module.state_dict().items()}
    for name, value in tensors.items():
        if name.endswith("running_var"):
            value.add_(torch.rand_like(value))
    return Checkpoint(tensors, fingerprint(tensors), f"{seed}.safetensors", "safetensors")


def work_and_tiles(points: int = 9) -> tuple[Work, tuple[Tile, ...]]:
    """Return work with a reset, and the tiles of a plane of points² points and of its corners."""
    subject = prepare(checkpoint(0), checkpoint(1), None, {})
    names = subject.program.parameters
    models = [{n: c.tensors[n] for n in names} for c in (checkpoint(0), checkpoint(1))]
    models.append({n: c.clone() for n, c in checkpoint(2).tensors.items() if n in names})
    plane = make_plane(*models, resolution=points)
    generator = torch.Generator().manual_seed(3)
    inputs = torch.randn(20, 12, generator=generator)
    targets = torch.randint(0, 4, (20,), generator=generator)
    data = Dataset(inputs, targets, "drawn", "test", 4, "0" * 64, (0.0,), (1.0,))
    work = Work(
        subject.program,
        ProgramRecipe.of(subject, {}),
        {"test": data},
        ResetData(inputs[:10]),
        "cpu",
    )
    ends = Span(("A", "B"), (models[0], models[1]))
    eye = torch.eye(2, dtype=torch.float64)
    return work, (
        Tile("ends-test", ends, eye, "test", np.arange(2)),
        *split_into_tiles("plane", plane.span, plane.coefficients, "test"),
    )


def evaluated(
    executor: TileExecutor,
    work: Work,
    tiles: tuple[Tile, ...],
    *,
    after_each: Callable[[dict[str, Arrays]], None] = lambda found: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> dict[str, Arrays]:
    """Return the arrays of every tile that was handed over."""
    found: dict[str, Arrays] = {}

    def finished(tile: Tile, arrays: Arrays) -> None:
        assert tile.key not in found
        found[tile.key] = arrays
        after_each(found)

    executor.run(work, tiles, finished=finished, point=lambda tile: None, should_stop=should_stop)
    return found


def in_turn(work: Work, tiles: tuple[Tile, ...]) -> dict[str, Arrays]:
    """Return the arrays as one process finds them."""
    return evaluated(InTurn(), work, tiles)


def same(found: Mapping[str, Arrays], expected: Mapping[str, Arrays]) -> bool:
    """Whether two sets of tiles hold the same bits."""
    return found.keys() == expected.keys() and all(
        found[key].keys() == arrays.keys()
        and all(np.array_equal(found[key][n], v, equal_nan=True) for n, v in arrays.items())
        for key, arrays in expected.items()
    )
