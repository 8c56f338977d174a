"""What a user's data file declares, checked before anything is allocated; then read and checked.

A file holds `inputs` [N, …], or several as `inputs.NAME` (or `inputs.0`, `inputs.1` …), and
`targets`: whole numbers [N] are classes, whole numbers [N, T] are tokens (−100 leaves a position
out), floating-point numbers of any shape are a regression's values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.data.dataset import RawData, count_classes
from engine.errors import DataError

FLOATS = ("float16", "bfloat16", "float32", "float64")
WHOLE = ("uint8", "int8", "int16", "int32", "int64", "uint16", "uint32")
PREFIX = "inputs."


@dataclass(frozen=True)
class UploadLimits:
    """Caps that are looked at before anything is allocated."""

    samples: int = 5_000_000
    total_bytes: int = 4 << 30
    classes: int = 1_000_000


@dataclass(frozen=True)
class Declared:
    """An array as its header declares it, and how to read it."""

    shape: tuple[int, ...]
    dtype: str
    read: Callable[[], Tensor]


def data_keys(names: Collection[str]) -> tuple[str, ...]:
    """Return which of a file's arrays are data: inputs in order, targets, classes.

    Raises:
        DataError: inputs or targets are missing, or inputs are given in two ways.
    """
    several = [name for name in names if name.startswith(PREFIX)]
    found = ", ".join(sorted(names)[:10]) or "nothing"
    if several and "inputs" in names:
        raise DataError(f"there are `inputs` and {_ticked(several)}; keep one of the two ways.")
    inputs = tuple(sorted(several, key=_place)) or ("inputs",)
    for key in (inputs[0], "targets"):
        if key not in names:
            others = sorted(set(names) - {"targets", "classes"})
            hint = (
                f" Several inputs are stored as `{PREFIX}NAME` each, say `{PREFIX}{others[0]}`."
                if key == "inputs" and others
                else ""
            )
            raise DataError(f"`{key}` is missing; the file holds {found}.{hint}")
    return (*inputs, "targets", *(["classes"] if "classes" in names else []))


def assemble(declared: Mapping[str, Declared], sha256: str, limits: UploadLimits) -> RawData:
    """Read the arrays that `data_keys` named, checking each before and after.

    Raises:
        DataError: naming the array and what is wrong with it.
    """
    inputs = {key: d for key, d in declared.items() if key not in ("targets", "classes")}
    targets = declared["targets"]
    for key, found in inputs.items():
        _check_inputs(key, found, targets, limits)
    _check_targets(targets)
    _check_bytes([*inputs.values(), targets], limits)
    tensors = tuple(_inputs(key, found) for key, found in inputs.items())
    wanted = _targets(targets)
    names = tuple(key.removeprefix(PREFIX) for key in inputs) if "inputs" not in inputs else ()
    return RawData(
        inputs=tensors if names else tensors[0],
        targets=wanted,
        classes=_classes(declared.get("classes"), wanted, limits),
        sha256=sha256,
        input_names=names,
    )


def _check_inputs(key: str, inputs: Declared, targets: Declared, limits: UploadLimits) -> None:
    if inputs.dtype not in (*FLOATS, *WHOLE, "bool"):
        raise DataError(
            f"`{key}` has dtype {inputs.dtype}; bring uint8 images, floating-point numbers or "
            "whole token ids."
        )
    least = 2 if key == "inputs" else 1
    if len(inputs.shape) < least:
        raise DataError(
            f"`{key}` has shape {list(inputs.shape)}; the first axis counts samples"
            f"{' and at least one more holds each sample' if least == 2 else ''}."
        )
    if not targets.shape or inputs.shape[0] != targets.shape[0]:
        samples = targets.shape[0] if targets.shape else "a single number"
        raise DataError(f"`{key}` holds {inputs.shape[0]} samples but `targets` {samples}.")
    if math.prod(inputs.shape) == 0:
        raise DataError(f"`{key}` is empty, of shape {list(inputs.shape)}.")
    if inputs.shape[0] > limits.samples:
        raise DataError(f"{inputs.shape[0]} samples; at most {limits.samples} are read.")


def _check_targets(targets: Declared) -> None:
    if targets.dtype not in (*FLOATS, *WHOLE):
        raise DataError(
            f"`targets` has dtype {targets.dtype}; bring whole class or token numbers, or "
            "floating-point values."
        )
    if targets.dtype in WHOLE and len(targets.shape) > 2:
        raise DataError(
            f"`targets` has shape {list(targets.shape)}; whole numbers are classes [N] or tokens "
            "[N, T], and a regression's values are stored as floating-point numbers."
        )
    if math.prod(targets.shape) == 0:
        raise DataError(f"`targets` is empty, of shape {list(targets.shape)}.")


def _check_bytes(arrays: Collection[Declared], limits: UploadLimits) -> None:
    """Token ids are held in eight bytes, all else in four at most."""
    size = sum(
        math.prod(found.shape) * (4 if found.dtype in (*FLOATS, "uint8") else 8) for found in arrays
    )
    if size > limits.total_bytes:
        raise DataError(
            f"the arrays would take {size} bytes in memory; at most {limits.total_bytes} are read."
        )


def _inputs(key: str, declared: Declared) -> Tensor:
    """Return images as uint8, floating-point numbers as float32, token ids as int64."""
    values = declared.read()
    if values.dtype == torch.uint8:
        return values.contiguous()
    if not values.is_floating_point():
        return values.to(torch.int64).contiguous()
    values = values.to(torch.float32).contiguous()
    bad = ~torch.isfinite(values).reshape(len(values), -1).all(dim=1)
    if bad.any():
        first = int(bad.nonzero()[0])
        raise DataError(
            f"`{key}` holds NaN or infinite numbers in {int(bad.sum())} samples, "
            f"the first is sample {first}."
        )
    return values


def _targets(declared: Declared) -> Tensor:
    floating = declared.dtype in FLOATS
    return declared.read().to(torch.float32 if floating else torch.int64).contiguous()


def _classes(declared: Declared | None, targets: Tensor, limits: UploadLimits) -> int:
    needed = classes = count_classes(targets, "the file")
    if declared is not None:
        if targets.is_floating_point():
            raise DataError("`classes` belongs to whole-number `targets`; these are not whole.")
        if math.prod(declared.shape) != 1 or "int" not in declared.dtype:
            raise DataError("`classes` must be one integer.")
        classes = int(declared.read().reshape(()))
        if classes < 1:
            raise DataError(f"`classes` is {classes}; it counts the classes, so at least 1.")
    if needed > classes:
        raise DataError(
            f"`targets` go up to {needed - 1}; with {classes} classes they must lie in "
            f"0 … {classes - 1}."
        )
    if classes > limits.classes:
        raise DataError(f"{classes} classes; at most {limits.classes} are taken.")
    return classes


def _place(key: str) -> tuple[int, int, str]:
    name = key.removeprefix(PREFIX)
    return (0, int(name), "") if name.isdecimal() else (1, 0, name)


def _ticked(names: Collection[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))
