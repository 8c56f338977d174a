"""Where a VGG pools, and how large its images are: inferred, as no tensor shows it.

Between two convolutions of one numbered Sequential the gap of indices counts the layers
without weights, so a gap one larger than the smallest is a pool. Elsewhere the channel
patterns of VGG11, 13, 16 and 19 (Simonyan & Zisserman 2015, table 1) tell. The image size
follows from the inputs of the first linear layer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isqrt
from typing import Any

from engine.errors import SpecError, UnknownArchitectureError
from engine.families.layout import Part, container_and_index, show_shape
from engine.families.pieces import choice, positive

# Channels in units of the first convolution's, "M" for a max-pool.
PATTERNS: Mapping[str, tuple[int | str, ...]] = {
    "VGG11": (1, "M", 2, "M", 4, 4, "M", 8, 8, "M", 8, 8, "M"),
    "VGG13": (1, 1, "M", 2, 2, "M", 4, 4, "M", 8, 8, "M", 8, 8, "M"),
    "VGG16": (1, 1, "M", 2, 2, "M", 4, 4, 4, "M", 8, 8, 8, "M", 8, 8, 8, "M"),
    "VGG19": (1, 1, "M", 2, 2, "M", 4, 4, 4, 4, "M", 8, 8, 8, 8, "M", 8, 8, 8, 8, "M"),
}
ADAPTIVE_SIZE = 7  # torchvision's VGG averages, or repeats, to 7×7 whatever the image
LARGEST_IMAGE = 512


@dataclass(frozen=True)
class Pooling:
    """Where the max-pools are (how many convolutions come before each), and why."""

    after: tuple[int, ...]
    evidence: str
    given: bool = False


@dataclass(frozen=True)
class Sizes:
    """Image size, pooling behind the last convolution, side of the first linear layer's input."""

    image: int
    final_pool: str
    head: int
    assumptions: tuple[str, ...]


def known_pattern(convs: Sequence[Part]) -> str | None:
    """Return the VGG whose channel pattern, at any width, these convolutions have."""
    channels = [part.outputs for part in convs]
    for name, pattern in PATTERNS.items():
        units = [unit for unit in pattern if isinstance(unit, int)]
        if channels == [unit * channels[0] for unit in units]:
            return name
    return None


def find_pools(convs: Sequence[Part], normed: bool, overrides: Mapping[str, Any]) -> Pooling:
    """Find after how many convolutions the image is halved, the end left out.

    Raises:
        SpecError: The pools given make no sense.
        UnknownArchitectureError: Neither index gaps nor a known pattern tell.
    """
    if overrides.get("pools") is not None:
        return Pooling(_given(overrides["pools"], len(convs)), "Max-pools where given.", True)
    pattern = known_pattern(convs)
    gaps = _gap_pools(convs, normed)
    if gaps is not None:
        agrees = f", as in {pattern}" if pattern and gaps == pattern_pools(pattern) else ""
        return Pooling(
            gaps, f"Max-pools {_after(gaps)}: the index gaps of the convolutions{agrees}."
        )
    if pattern is not None:
        known = pattern_pools(pattern)
        return Pooling(known, f"Max-pools {_after(known)}: the channels are {pattern}'s.")
    raise UnknownArchitectureError(
        f"The {len(convs)} convolutions do not show where the max-pools are: no index gaps, and "
        "the channels are not those of VGG11, 13, 16 or 19. Give pools=[…], how many "
        "convolutions come before each pool."
    )


def pattern_pools(pattern: str) -> tuple[int, ...]:
    """How many convolutions come before each max-pool of a VGG, the last pool left out."""
    seen, after = 0, []
    for unit in PATTERNS[pattern][:-1]:
        if unit == "M":
            after.append(seen)
        else:
            seen += 1
    return tuple(after)


def _gap_pools(convs: Sequence[Part], normed: bool) -> tuple[int, ...] | None:
    """Pools from the index gaps in one Sequential; None where the gaps are not plain."""
    places = [container_and_index(part.path) for part in convs]
    if len(convs) < 2 or None in places or len({place[0] for place in places if place}) > 1:
        return None
    steps = [b[1] - a[1] for a, b in pairwise(place for place in places if place)]
    plain = 3 if normed else 2
    if any(step not in (plain, plain + 1) for step in steps):
        return None
    return tuple(i + 1 for i, step in enumerate(steps) if step == plain + 1)


def _given(pools: Any, convolutions: int) -> tuple[int, ...]:
    if not isinstance(pools, Sequence) or isinstance(pools, str):
        raise SpecError(f"pools={pools!r} is not possible: give a list of convolution counts.")
    if any(not isinstance(p, int) or not 0 < p <= convolutions for p in pools):
        raise SpecError(
            f"pools={list(pools)} is not possible: give counts from 1 to {convolutions}."
        )
    return tuple(sorted(set(pools)))


def _after(pools: Sequence[int]) -> str:
    if not pools:
        return "nowhere between convolutions"
    return f"after convolution{'s' * (len(pools) > 1)} {', '.join(map(str, pools))}"


def find_sizes(
    convs: Sequence[Part],
    head: Sequence[Part],
    pooling: Pooling,
    overrides: Mapping[str, Any],
) -> Sizes:
    """Find image size and final pooling that give the first linear layer its inputs.

    Args:
        convs: The convolutions in order.
        head: The linear layers in order.
        pooling: The max-pools between the convolutions.

    Raises:
        SpecError: An override is not possible.
        UnknownArchitectureError: The inputs are no square image of the last channels.
    """
    side = _head_side(convs[-1], head[0])
    ended = len(convs) in pooling.after
    halvings = len(pooling.after) - ended
    kinds = _final_kinds(convs, head, pooling, ended, overrides)
    given = positive(overrides, "image_size", None)
    images = (int(given),) if given else ((28, 32) if convs[0].inputs == 1 else (32,))
    for kind in kinds:
        for image in images:
            if (image >> halvings) // (1 if kind == "none" else 2) == side:
                return _sizes(image, kind, side, halvings, bool(given))
    guess = kinds[0]
    total = halvings + (guess != "none")
    if not given and side > images[-1] >> total:
        enlarged = side << total
        repeated = side == ADAPTIVE_SIZE and total == 5 and head[-1].outputs < 1000
        image = images[-1] if repeated or enlarged > LARGEST_IMAGE else enlarged
        return _sizes(image, guess, side, halvings, False)
    guess = guess if images[-1] >> total >= 1 else "none"
    if images[-1] >> halvings < 1:
        raise UnknownArchitectureError(
            f"Max-pooling {halvings}× leaves nothing of an image of {images[-1]}×{images[-1]} "
            "(image_size=…, pools=[…])."
        )
    return _sizes(images[-1], guess, side, halvings, bool(given))


def _head_side(last: Part, first: Part) -> int:
    side = isqrt(first.inputs // last.outputs)
    if side == 0 or side * side * last.outputs != first.inputs:
        raise UnknownArchitectureError(
            f"{first.label}.weight {show_shape(first.shape)} takes {first.inputs} inputs, which is "
            f"no square image of the {last.outputs} channels of {last.label}."
        )
    return side


def _final_kinds(
    convs: Sequence[Part],
    head: Sequence[Part],
    pooling: Pooling,
    ended: bool,
    overrides: Mapping[str, Any],
) -> tuple[str, ...]:
    """How the image may be pooled behind the last convolution, the likeliest first."""
    if overrides.get("final_pool"):
        return (choice(overrides, "final_pool", ("max", "average", "none"), "max"),)
    if pooling.given:
        return ("max",) if ended else ("none",)
    # A lone classifier.0 is the layout that averages 2×2 at the end (rethink-re-basin).
    place = container_and_index(head[0].path)
    lone = len(head) == 1 and place is not None and place[1] == 0
    pooled = "average" if lone else "max"
    return (pooled, "none") if known_pattern(convs) else ("none", pooled)


def _sizes(image: int, kind: str, side: int, halvings: int, given: bool) -> Sizes:
    """Put the sizes into words."""
    inner = image >> halvings
    words = {
        "max": f"2×2 max-pooling follows the last convolution ({inner}×{inner} before it)",
        "average": f"Averaging {inner}×{inner} → {side}×{side} follows the last convolution",
        "none": "No pooling follows the last convolution",
    }
    said = [
        f"Images are {image}×{image}" + (", as given." if given else " (image_size=…)."),
        f"{words[kind]} (final_pool=max|average|none).",
    ]
    ended = inner // 2 if kind == "max" else inner
    if kind != "average" and ended != side:
        how = "averaged" if ended > side else "repeated"
        said.append(f"What is left, {ended}×{ended}, is {how} to {side}×{side}.")
    return Sizes(image, kind, side, tuple(said))
