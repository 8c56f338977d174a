"""Finding the weights inside what training code saves around them.

`{"state_dict": …}`, `{"model": …, "optimizer": …}`, Lightning checkpoints and moving averages
(EMA) are opened level by level. Plain weights are preferred to averaged ones. Every choice is
returned as one sentence. Names inside the state dict are the business of `names`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

from engine.checkpoints.admission import shown
from engine.errors import CheckpointError

#: Keys under which training code saves the weights, the most specific first.
PLAIN_KEYS = (
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "net",
    "network",
    "module",
    "params",
    "weights",
)
#: Keys under which it saves their moving average.
AVERAGE_KEYS = (
    "state_dict_ema",
    "ema_state_dict",
    "model_ema",
    "ema_model",
    "params_ema",
    "ema",
    "shadow",
)
_LIGHTNING = "pytorch-lightning_version"
_OTHER_STATES = ("optim", "sched", "scaler", "amp", "callback", "loop", "rng", "random", "loss")
_DEPTH = 6


def find_state(content: Any) -> tuple[dict[Any, Tensor], tuple[str, ...], bool]:
    """Return the mapping that holds the weights, how it was found, and if Lightning wrote it.

    Args:
        content: What the file holds: tensors by name, possibly inside further mappings.

    Raises:
        CheckpointError: There are no named tensors, or several sets of them.
    """
    notes: list[str] = []
    lightning = False
    if isinstance(content, Tensor):
        raise CheckpointError("it holds a single tensor without a name, not a state dict")
    for _ in range(_DEPTH):
        if not isinstance(content, Mapping):
            raise CheckpointError(
                f"it holds a {type(content).__name__}, not a mapping from names to tensors"
            )
        if _LIGHTNING in content:
            lightning = True
            notes.append(f"It is a Lightning checkpoint (version {shown(content[_LIGHTNING])}).")
        key = _weights_key(content)
        if key is None:
            break
        notes.extend(_notes_on_choice(content, key))
        content = content[key]
    tensors = {name: value for name, value in content.items() if isinstance(value, Tensor)}
    if not tensors:
        raise CheckpointError("it holds no named tensors within six levels of mappings")
    others = [name for name in content if name not in tensors]
    if others:
        notes.append(f"Left aside, being no tensors: {_listed(others)}.")
    return tensors, tuple(notes), lightning


def _weights_key(content: Mapping[Any, Any]) -> Any:
    """Return the key to open next, or None when `content` itself holds the weights."""
    inner = [key for key, value in content.items() if _holds_tensors(value)]
    for key in (*PLAIN_KEYS, *AVERAGE_KEYS):
        if key in inner:
            return key
    if any(isinstance(value, Tensor) for value in content.values()):
        return None
    weights = [key for key in inner if not _is_other_state(key)]
    if len(weights) == 1:
        return weights[0]
    if weights:
        raise CheckpointError(
            f"it holds several sets of tensors ({_listed(weights)}); save the one to be read as a "
            "file of its own"
        )
    if not content:
        raise CheckpointError("it holds no tensors at all")
    raise CheckpointError(f"it holds no weights, only: {_listed(content)}")


def _notes_on_choice(content: Mapping[Any, Any], key: Any) -> list[str]:
    """Say which key was opened and what lies beside it."""
    averages = [other for other in AVERAGE_KEYS if other in content and other != key]
    if key in AVERAGE_KEYS:
        notes = [f"The weights are the moving averages (EMA) under {shown(key)}."]
    else:
        notes = [f"The weights were taken from {shown(key)}."]
        if averages:
            notes.append(
                f"The moving averages (EMA) under {_listed(averages)} were left aside; the plain "
                "weights are used."
            )
    rest = [other for other in content if other not in (key, _LIGHTNING, *averages)]
    if rest:
        notes.append(f"Left aside, being no weights: {_listed(rest)}.")
    return notes


def _holds_tensors(value: Any) -> bool:
    """Say whether a mapping holds tensors at any of a few levels; each object is seen once."""
    level, seen = [value], set[int]()
    for _ in range(_DEPTH):
        deeper = []
        for item in level:
            if isinstance(item, Mapping) and id(item) not in seen:
                seen.add(id(item))
                deeper.extend(item.values())
        if any(isinstance(item, Tensor) for item in deeper):
            return True
        level = deeper
    return False


def _is_other_state(key: Any) -> bool:
    return isinstance(key, str) and any(word in key.lower() for word in _OTHER_STATES)


def _listed(keys: Iterable[Any], most: int = 8) -> str:
    names = [shown(key) for key in keys]
    text = ", ".join(names[:most])
    return text if len(names) <= most else f"{text} and {len(names) - most} more"
