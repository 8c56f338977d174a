"""Whether two checkpoints belong to one architecture, and whether their numbers are numbers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from engine.checkpoints.admission import shown
from engine.checkpoints.checkpoint import Checkpoint
from engine.errors import MismatchError, NonFiniteError

_MOST = 8
#: BatchNorm's step counter: integers that older files lack and no computation here reads.
_COUNTER = "num_batches_tracked"


def check_fit(a: Checkpoint, b: Checkpoint, called: tuple[str, str] = ("A", "B")) -> None:
    """Check that `a` and `b` hold the same tensors.

    Names, shapes and kinds of numbers (whole or floating) count; the precision may differ, and
    so may BatchNorm's step counters.

    Args:
        a, b: the two.
        called: what they are called where a tensor differs.

    Raises:
        MismatchError: Naming up to eight tensors that differ, with their shapes.
    """
    ours = {name: tuple(t.shape) for name, t in a.tensors.items() if not name.endswith(_COUNTER)}
    theirs = {name: tuple(t.shape) for name, t in b.tensors.items() if not name.endswith(_COUNTER)}
    here, there = (f"in {name}" for name in called)
    lines = [
        f"{shown(name)} is {_axes(shape)} {here} and {_axes(theirs[name])} {there}"
        for name, shape in ours.items()
        if name in theirs and theirs[name] != shape
    ]
    lines += [
        f"{shown(name)} holds {_kind(a.tensors[name])} {here} and {_kind(b.tensors[name])} {there}"
        for name in ours
        if name in theirs and _floating(a.tensors[name]) != _floating(b.tensors[name])
    ]
    lines += [f"{shown(n)} {_axes(s)} is only {here}" for n, s in ours.items() if n not in theirs]
    lines += [f"{shown(n)} {_axes(s)} is only {there}" for n, s in theirs.items() if n not in ours]
    if not lines:
        return
    message = f"{a.name} and {b.name} do not have the same tensors: {_listed(lines)}."
    if set(ours) != set(theirs) and list(ours.values()) == list(theirs.values()):
        message += (
            " Their shapes agree one by one, so these may be one architecture under two sets of "
            "names: rename the tensors of one file."
        )
    else:
        message += " Choose checkpoints of one architecture."
    raise MismatchError(message)


def check_finite(checkpoint: Checkpoint) -> None:
    """Check that no tensor holds NaN or infinite values.

    Raises:
        NonFiniteError: Naming up to eight tensors, with how many of their values are neither.
    """
    lines = []
    for name, tensor in checkpoint.tensors.items():
        if not tensor.is_floating_point() or bool(torch.isfinite(tensor).all()):
            continue
        nan = int(torch.isnan(tensor).sum())
        infinite = int(torch.isinf(tensor).sum())
        lines.append(
            f"{shown(name)} has {nan:,} NaN and {infinite:,} infinite of {tensor.numel():,} values"
        )
    if lines:
        raise NonFiniteError(
            f"{checkpoint.name} holds values that are no numbers: {_listed(lines)}. The training "
            "that made it has diverged, or the file is damaged: take an earlier checkpoint."
        )


def _floating(tensor: Tensor) -> bool:
    return tensor.is_floating_point()


def _kind(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _axes(shape: tuple[int, ...]) -> str:
    return "×".join(str(size) for size in shape) if shape else "a scalar"


def _listed(lines: Sequence[str]) -> str:
    text = "; ".join(lines[:_MOST])
    return text if len(lines) <= _MOST else f"{text}; and {len(lines) - _MOST} more"
