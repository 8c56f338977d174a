"""The matching inside a study, kept like a tile so that a resumed run does not repeat it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from engine.errors import CancelledError, SymmetryError
from engine.matching import MatchResult, StopReason, match_weights
from engine.studies.options import CompareOptions
from engine.studies.subject import Subject
from engine.studies.tiles import TileCache
from engine.symmetry import Permutation, Symmetry

KEY = "matching"


@dataclass(frozen=True)
class Alignment:
    """A matching without what differs from run to run (its seconds).

    The fields are those of `engine.matching.MatchResult`.
    """

    permutation: Permutation
    objective: float
    objective_identity: float
    trace: tuple[float, ...]
    restarts: tuple[float, ...]
    sweeps: int
    stop_reason: StopReason
    seed: int

    method: str = "weight matching"


def align(
    subject: Subject,
    symmetry: Symmetry,
    options: CompareOptions,
    cache: TileCache,
    sweep: Callable[[int, float], None],
    should_stop: Callable[[], bool] | None,
) -> Alignment:
    """Return the permutation of B that matches A, from the cache or by weight matching.

    Raises:
        CancelledError: `should_stop` asked for it.
    """
    if (kept := _kept(cache, symmetry, options.seed)) is not None:
        return kept
    result = match_weights(
        subject.program,
        symmetry,
        subject.a.tensors,
        subject.b.tensors,
        seed=options.seed,
        restarts=options.restarts,
        max_sweeps=options.max_sweeps,
        progress=sweep,
        should_stop=should_stop,
    )
    if result.stop_reason is StopReason.CANCELLED:
        raise CancelledError("cancelled while matching")
    arrays = match_arrays(result)
    cache.put(KEY, arrays)
    return restore_match(arrays, options.seed)


def _kept(cache: TileCache, symmetry: Symmetry, seed: int) -> Alignment | None:
    """Return the matching that was kept; None where it is of other groups or no matching."""
    arrays = cache.get(KEY)
    if arrays is None:
        return None
    try:
        kept = restore_match(arrays, seed)
        symmetry.check_permutation(kept.permutation)
    except (LookupError, TypeError, ValueError, SymmetryError):
        return None
    return kept


def match_arrays(result: MatchResult) -> dict[str, np.ndarray]:
    """Return what is kept of a matching."""
    arrays = {f"group {name}": order.numpy() for name, order in result.permutation.items()}
    for inner, outer in result.permutation.within.items():
        arrays[f"within {inner}"] = np.array(outer)
    arrays["objective"] = np.array([result.objective, result.objective_identity])
    arrays["trace"] = np.array(result.trace)
    arrays["restarts"] = np.array(result.restarts)
    arrays["sweeps"] = np.array(result.sweeps)
    arrays["stop_reason"] = np.array(result.stop_reason.value)
    return arrays


def restore_match(arrays: Mapping[str, np.ndarray], seed: int) -> Alignment:
    """Return the matching that was kept.

    Raises:
        LookupError, TypeError, ValueError, SymmetryError: the arrays are no matching.
    """
    orders = {
        key.removeprefix("group "): torch.from_numpy(np.asarray(value).astype(np.int64))
        for key, value in arrays.items()
        if key.startswith("group ")
    }
    within = {
        key.removeprefix("within "): str(value)
        for key, value in arrays.items()
        if key.startswith("within ")
    }
    return Alignment(
        permutation=Permutation(orders, within),
        objective=float(arrays["objective"][0]),
        objective_identity=float(arrays["objective"][1]),
        trace=tuple(float(value) for value in arrays["trace"]),
        restarts=tuple(float(value) for value in arrays["restarts"]),
        sweeps=int(arrays["sweeps"]),
        stop_reason=StopReason(str(arrays["stop_reason"])),
        seed=seed,
    )
