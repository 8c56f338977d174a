"""The alignment inside a merge, kept like a tile so that a resumed run does not repeat it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch

from engine.data import Dataset
from engine.errors import CancelledError, SymmetryError
from engine.matching import StopReason
from engine.merging import Alignment, align
from engine.studies.merge_models import Models
from engine.studies.merge_options import MergeOptions
from engine.studies.tiles import TileCache
from engine.symmetry import Permutation, Symmetry

KEY = "alignment"


def aligned(
    models: Models,
    symmetry: Symmetry,
    options: MergeOptions,
    data: Dataset,
    cache: TileCache,
    *,
    progress: Callable[[float], None],
    should_stop: Callable[[], bool],
    device: str,
) -> Alignment:
    """Return a permutation of each model, from the cache or by the chosen method.

    Raises:
        CancelledError: `should_stop` asked for it.
        MatchingError: the method cannot run on these models and data.
    """
    kept = _kept(cache.get(KEY), symmetry, options, len(models.checkpoints))
    if kept is not None:
        return kept
    found = align(
        options.method,
        models.program,
        symmetry,
        models.tensors,
        data=data,
        options=options.method_options,
        seed=options.seed,
        progress=progress,
        should_stop=should_stop,
        device=device,
    )
    if found.stop_reason is StopReason.CANCELLED:
        raise CancelledError("cancelled while matching")
    cache.put(KEY, _arrays(found))
    return found


def _arrays(found: Alignment) -> dict[str, np.ndarray]:
    arrays = {
        f"{number} {name}": order.numpy()
        for number, permutation in enumerate(found.permutations)
        for name, order in permutation.items()
    }
    arrays["objective"] = np.array([found.objective, found.objective_identity])
    arrays["trace"] = np.array(found.trace)
    arrays["rounds"] = np.array(found.rounds)
    arrays["stop_reason"] = np.array(found.stop_reason.value)
    arrays["seconds"] = np.array(found.seconds)
    return arrays


def _kept(
    arrays: Mapping[str, np.ndarray] | None, symmetry: Symmetry, options: MergeOptions, count: int
) -> Alignment | None:
    """Return the alignment that was kept; None where it is of other groups or none at all."""
    if arrays is None:
        return None
    try:
        permutations = tuple(
            Permutation(
                {
                    group.name: torch.from_numpy(
                        np.asarray(arrays[f"{number} {group.name}"]).astype(np.int64)
                    )
                    for group in symmetry.groups
                },
                symmetry.within,
            )
            for number in range(count)
        )
        for permutation in permutations:
            symmetry.check_permutation(permutation)
        return Alignment(
            permutations=permutations,
            objective=float(arrays["objective"][0]),
            objective_identity=float(arrays["objective"][1]),
            trace=tuple(float(value) for value in arrays["trace"]),
            rounds=int(arrays["rounds"]),
            stop_reason=StopReason(str(arrays["stop_reason"])),
            seconds=float(arrays["seconds"]),
            method=options.method,
            seed=options.seed,
        )
    except (LookupError, TypeError, ValueError, SymmetryError):
        return None
