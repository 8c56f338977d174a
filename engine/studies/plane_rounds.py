"""Evaluates a plane round by round, until it is as accurate as asked, or the time is over.

The points of a round, the keys of its tiles, and so its bits follow from earlier rounds alone. How
many rounds fit into a time depends on the machine; the seconds that each took are kept with its
estimate, so that a run which is resumed stops where it would have stopped. Those of a round that
was interrupted are kept with each of its tiles, and count.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from engine.landscape import Plane
from engine.landscape.progressive import (
    FULL,
    P95_SHARE,
    QUANTITIES,
    Estimate,
    Known,
    Round,
    StopReason,
    estimate,
)
from engine.studies.evaluation import Evaluation
from engine.studies.options import CompareOptions
from engine.studies.plane_design import design_of
from engine.studies.plane_sample import PlaneSample
from engine.studies.plane_sketch import Sketch
from engine.studies.stages import Approach
from engine.studies.tiles import Tile, TileCache, split_into_tiles

STAGE = "plane"


class PlaneRounds:
    """The rounds of one plane.

    Args:
        plane: its grid and its span.
        evaluation: of the comparison; tiles go through its executor into its cache.
        options: mode, accuracy, seconds and seeds.
        split: whose losses are drawn.
        approach: told how far it is.
    """

    def __init__(
        self,
        plane: Plane,
        evaluation: Evaluation,
        options: CompareOptions,
        split: str,
        approach: Approach,
    ) -> None:
        self._plane, self._evaluation, self._options = plane, evaluation, options
        self._split, self._approach = split, approach
        self._sample = None
        if options.plane_mode == "progressive":
            self._sample = PlaneSample.drawn(evaluation.work, split, options.data_seed)
        cost = None if self._sample is None else self._sample.cost
        self._design = design_of(plane, options, cost)
        self._known, self._found = Known.nothing(self._design.places), None
        self._rounds, self._work, self._seconds, self._first = 0, 0.0, 0.0, float("nan")

    def advance(self) -> Sketch:
        """Evaluate one round; return what is known then, with the reason where it was the last.

        Raises:
            CancelledError: the evaluation was told to stop; finished tiles are kept.
        """
        wanted = self._design.following(self._known, self._found)
        assert wanted is not None  # else the sketch before would have been the last
        clock = _Clock(self._evaluation.cache, f"spent-{self._split}-{self._rounds:04d}")
        found = self._evaluated(wanted, clock)
        self._known = self._known.with_values(wanted.kind, wanted.index, found)
        self._found = estimate(self._known, self._design.grid)
        self._rounds, self._work = self._rounds + 1, self._work + self._cost(wanted)
        sketch = self._sketch(self._found)
        self._keep(sketch, clock.seconds())
        sketch = replace(sketch, reason=self._reason(self._found))
        self._approach.reached(self._share(self._found), self._seconds, self._options.plane_seconds)
        return sketch

    def _sketch(self, found: Estimate) -> Sketch:
        return Sketch(
            self._design,
            self._options,
            self._sample,
            self._known,
            found,
            self._rounds,
            self._work,
            None,
        )

    def _evaluated(self, wanted: Round, clock: _Clock) -> dict[str, np.ndarray]:
        """Return the values of a round's points, in its order."""
        evaluation, split = replace(self._evaluation, cache=clock), self._split
        if wanted.kind != FULL and self._sample is not None:
            evaluation, split = replace(evaluation, work=self._sample.work), self._sample.split
        name, span = f"round{self._rounds:04d}", self._plane.span
        tiles: tuple[Tile, ...] = split_into_tiles(
            name, span, self._design.coefficients, split, wanted.index
        )
        evaluation.run([(STAGE, tile) for tile in tiles], self._approach)
        kept = [evaluation.cache.get(tile.key) or {} for tile in tiles]
        return {name: np.concatenate([part[name] for part in kept]) for name in QUANTITIES}

    def _keep(self, sketch: Sketch, seconds: float) -> None:
        """Keep the estimate, for whoever looks meanwhile, with the seconds spent so far."""
        key, cache = f"estimate-{self._split}-{self._rounds:04d}", self._evaluation.cache
        before = (cache.get(key) or {}).get("seconds")
        if before is not None and before.shape == (1,):
            self._seconds = float(before[0])
            return
        self._seconds += seconds
        cache.put(key, {**sketch.flat(), "seconds": np.array([self._seconds])})

    def _cost(self, wanted: Round) -> float:
        """Return the work of a round in points on all data."""
        share = 1.0 if wanted.kind == FULL or self._sample is None else self._sample.cost
        return share * len(wanted.index)

    def _reason(self, found: Estimate) -> StopReason | None:
        following = self._design.following(self._known, found)
        if following is None:
            return StopReason.COMPLETE
        if self._design.mode == "sobol":
            return None
        accuracy, limit = self._options.plane_accuracy, self._options.plane_seconds
        median, high = found.quantile(0.5), found.quantile(0.95)
        if accuracy and median <= accuracy and high <= P95_SHARE * accuracy:
            return StopReason.ACCURACY
        rate = self._seconds / self._work
        if limit is not None and self._seconds + rate * self._cost(following) > limit:
            return StopReason.TIME
        return None

    def _share(self, found: Estimate) -> float:
        """Return how much of the way is gone, as far as the error tells; 0 to 1."""
        if self._design.mode == "sobol":
            return float(self._known.has_full.mean())
        error, accuracy = found.quantile(0.5), max(self._options.plane_accuracy, 1e-4)
        if not np.isfinite(error) or error <= 0:
            return 0.0 if error else 1.0
        if np.isnan(self._first):
            self._first = max(error, 2 * accuracy)
        return float(np.log(self._first / error) / np.log(self._first / accuracy))


class _Clock:
    """A `TileCache` that keeps, with every finished tile, the seconds spent on its round so far."""

    def __init__(self, cache: TileCache, key: str) -> None:
        self._cache, self._key, self._start = cache, key, time.perf_counter()
        spent = (cache.get(key) or {}).get("seconds")
        known = spent is not None and np.shape(spent) == (1,)
        self._before = float(np.asarray(spent)[0]) if known else 0.0

    def seconds(self) -> float:
        """Return the seconds spent, those before an interruption included."""
        return self._before + time.perf_counter() - self._start

    def get(self, key: str) -> Mapping[str, np.ndarray] | None:
        """Return a finished tile's arrays, or None."""
        return self._cache.get(key)

    def put(self, key: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep a finished tile's arrays, and the time."""
        self._cache.put(key, arrays)
        self._cache.put(self._key, {"seconds": np.array([self.seconds()])})
