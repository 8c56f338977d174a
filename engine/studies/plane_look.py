"""A first look at a plane: a coarse grid on a drawn sample, before anything else is evaluated.

It is there so that a picture is shown at once, and shown until better points are known: no number
of the result comes from it.
"""

from __future__ import annotations

import numpy as np

from engine.landscape import Plane
from engine.studies.evaluation import Evaluation
from engine.studies.plane_sample import PlaneSample
from engine.studies.tiles import Tile, belongs

SIDE = 5
"""Points along each axis; with the usual extent A and B are among them."""


def look_tile(plane: Plane, split: str) -> Tile:
    """Return the points of a first look: evenly spaced ones of the grid, its corners among them.

    Args:
        plane: its grid and its span.
        split: the split that they are of; the tile itself names the sample of it.
    """
    rows, columns = (
        np.unique(np.linspace(0, len(axis) - 1, min(SIDE, len(axis))).round().astype(np.int64))
        for axis in (plane.v, plane.u)
    )
    index = (rows[:, None] * len(plane.u) + columns[None, :]).ravel()
    return Tile(f"look-{split}", plane.span, plane.coefficients[index], split, index)


def first_look(plane: Plane, evaluation: Evaluation, split: str, seed: int) -> None:
    """Evaluate a first look into the cache, where a sample is cheap enough.

    Args:
        plane: its grid and its span.
        evaluation: of the study; here, not in other processes: it must be there at once.
        split: whose losses the plane has.
        seed: of the draw.

    Raises:
        CancelledError: the evaluation was told to stop.
    """
    sample = PlaneSample.drawn(evaluation.work, split, seed)
    if sample is None:
        return
    tile = look_tile(plane, split)
    kept = evaluation.cache.get(tile.key)
    if kept is not None and belongs(kept, tile):
        return
    drawn = Tile(tile.key, tile.span, tile.coefficients, sample.split, tile.index)
    found = sample.work.evaluate(drawn, lambda done: None, evaluation.should_stop)
    evaluation.cache.put(tile.key, found)
