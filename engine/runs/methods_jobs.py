"""The job that compares matching methods; what another comparison of the pair found is used."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from engine.errors import RunError
from engine.runs.context import JobContext, JobResult
from engine.runs.methods_spec import MethodsSpec
from engine.runs.store import Store
from engine.runs.stored import load_stored
from engine.runs.tiles import TileCache
from engine.studies.methods import compare_methods
from engine.studies.methods_options import MethodChoice, MethodsOptions
from engine.studies.methods_result import permutation_file


class SharedTiles:
    """A run's own tiles, and those of other runs that ask the same of other methods.

    Args:
        own: where tiles are kept.
        others: where they are looked for as well.
    """

    def __init__(self, own: TileCache, others: tuple[TileCache, ...]) -> None:
        self._own, self._others = own, others

    def get(self, key: str) -> dict[str, np.ndarray] | None:
        """Return a finished tile's arrays; one that another run has is kept here as well."""
        found = self._own.get(key)
        for other in self._others:
            if found is None and (found := other.get(key)) is not None:
                self._own.put(key, found)
        return found

    def put(self, key: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep a finished tile's arrays."""
        self._own.put(key, arrays)


def methods(spec: MethodsSpec, context: JobContext) -> JobResult:
    """Try the methods; see `engine.studies.methods`."""
    shelf, data = context.store.shelf, spec.data
    options = MethodsOptions(
        methods=tuple(MethodChoice(m.key, m.options) for m in spec.methods),
        repairs=spec.repairs,
        data=str(shelf.data_path(data.sha256)) if data.sha256 is not None else data.name,
        train_split=data.train_split,
        test_split=data.test_split,
        samples=data.samples,
        data_seed=data.seed,
        mean=data.mean,
        std=data.std,
        seed=spec.seed,
        line_points=spec.line_points,
        repair_samples=spec.repair_samples,
        family=spec.overrides,
    )
    found = compare_methods(
        load_stored(shelf, spec.a),
        load_stored(shelf, spec.b),
        options=options,
        tiles=SharedTiles(context.tiles, related_tiles(context.store, spec)),
        progress=context.progress,
        should_stop=context.should_stop,
    )
    summary = dict(found.summary)
    described = summary.get("data")
    if data.sha256 is not None and isinstance(described, dict):
        # The stored file is named by its hash; the user knows it by the name it came with.
        summary["data"] = {**described, "name": data.name, "title": data.name}
    return JobResult(
        summary=summary,
        arrays=found.arrays,
        files={permutation_file(name): p.save for name, p in found.permutations.items()},
        provenance=found.provenance,
    )


def related_tiles(store: Store, spec: MethodsSpec) -> tuple[TileCache, ...]:
    """Return the tiles of other runs about the same pair, data, seed and points."""
    found: list[TileCache] = []
    for status in store.list("methods"):
        if status.run_id == spec.run_id or status.builtin:
            continue
        try:
            other = store.spec(status.run_id)
        except RunError:  # deleted meanwhile, or damaged
            continue
        if isinstance(other, MethodsSpec) and spec.same_but_for_methods(other):
            found.append(store.tiles(status.run_id))
    return tuple(found)
