"""One method's matching inside a comparison of methods, kept like a tile.

It is kept under the digest of the method's options, so that another comparison of the same pair
finds it. Seconds are kept as well: they belong to the matching, not to who finds it again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.data import Dataset
from engine.errors import CancelledError, MatchingError, SymmetryError
from engine.matching import MatchResult, StopReason, obstacle, run_method
from engine.studies.alignment import Alignment, match_arrays, restore_match
from engine.studies.methods_options import MethodChoice
from engine.studies.result import json_ready
from engine.studies.subject import Subject
from engine.studies.tiles import TileCache
from engine.symmetry import Permutation, Symmetry


@dataclass(frozen=True)
class Found:
    """What one method found.

    Args:
        alignment: the permutation, its objective, trace and starts.
        details: what the method tells beyond the fields that all have; JSON values.
        seconds: that it took.
    """

    alignment: Alignment
    details: Mapping[str, Any]
    seconds: float


def find(
    choice: MethodChoice,
    subject: Subject,
    symmetry: Symmetry,
    data: Dataset,
    cache: TileCache,
    *,
    seed: int,
    progress: Callable[[float], None],
    should_stop: Callable[[], bool],
    device: str,
) -> Found:
    """Return what a method finds, from the cache or by running it.

    Args:
        data: what the method sees.
        progress: called with the share done.

    Raises:
        CancelledError: `should_stop` asked for it.
        MatchingError: the method cannot run on this model and these data.
        BasinscopeError: the method's own.
    """
    key = f"match-{choice.digest}"
    if (kept := _kept(cache.get(key), symmetry, seed)) is not None:
        progress(1.0)
        return kept
    program = subject.program
    why_not = obstacle(choice.key, program, symmetry, data, device, choice.options)
    if why_not is not None:
        raise MatchingError(why_not)
    result = run_method(
        choice.key,
        program,
        symmetry,
        subject.a.tensors,
        subject.b.tensors,
        data=data,
        options=choice.options,
        seed=seed,
        progress=progress,
        should_stop=should_stop,
        device=device,
    )
    if result.stop_reason is StopReason.CANCELLED:
        raise CancelledError("cancelled while matching")
    arrays = match_arrays(result)
    arrays["seconds"] = np.array(result.seconds)
    arrays["details"] = np.array(json.dumps(_details(result), sort_keys=True, allow_nan=False))
    cache.put(key, arrays)
    return _restore(arrays, seed)


def digest_of(permutation: Permutation) -> str:
    """Return a name of a permutation: the same for the same one, whoever found it."""
    content = hashlib.sha256()
    for name in sorted(permutation):
        content.update(name.encode())
        content.update(permutation[name].numpy().tobytes())
    return content.hexdigest()[:16]


def _kept(arrays: Mapping[str, np.ndarray] | None, symmetry: Symmetry, seed: int) -> Found | None:
    """Return the matching that was kept; None where it is of other groups or no matching."""
    if arrays is None:
        return None
    try:
        kept = _restore(arrays, seed)
        symmetry.check_permutation(kept.alignment.permutation)
    except (LookupError, TypeError, ValueError, SymmetryError):
        return None
    return kept


def _restore(arrays: Mapping[str, np.ndarray], seed: int) -> Found:
    alignment = restore_match(arrays, seed)
    return Found(alignment, json.loads(str(arrays["details"])), float(arrays["seconds"]))


def _details(result: MatchResult) -> Mapping[str, Any]:
    """Return what a result holds beyond the fields that all methods have, without times."""
    common = set(MatchResult.__dataclass_fields__)
    own = (name for name in type(result).__dataclass_fields__ if name not in common)
    ready = json_ready({name: getattr(result, name) for name in own})
    assert isinstance(ready, dict)
    return ready
