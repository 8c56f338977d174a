"""Layers put into the order in which they run, and norms put behind the layer they follow.

A state dict has no reliable order (safetensors sorts by name), so names come first and shapes
decide: every layer's outputs must be the next one's inputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from engine.errors import UnknownArchitectureError
from engine.families.layout import (
    Part,
    container_and_index,
    natural_key,
    numbers_in,
    show_shape,
    some_of,
    words_in,
)

FIRST_WORDS = frozenset({"in", "inp", "input", "inputs", "first", "stem", "embed", "encoder"})
LAST_WORDS = frozenset(
    {"out", "output", "outputs", "last", "final", "head", "classifier", "logits", "decoder"}
)
SEARCH_STEPS = 20_000


def order_by_chain(parts: Sequence[Part]) -> tuple[tuple[Part, ...], str]:
    """Put layers into the order in which each one's outputs fit the next one's inputs.

    Args:
        parts: Linear or conv layers, at least one.

    Returns:
        The layers in order, and a sentence that says how the order was found.

    Raises:
        UnknownArchitectureError: No order fits; names the first break in the order of names.
    """
    named = sorted(parts, key=lambda part: (_role(part), natural_key(part.path)))
    shown = some_of([part.label for part in named], 6)
    if first_break(named) is None:
        return tuple(named), f"The order is that of the names: {shown}."
    found = _search(named)
    if found is None:
        raise UnknownArchitectureError(first_break(named) or "")
    shown = some_of([part.label for part in found], 6)
    return found, (
        "The order is the one in which each layer's outputs fit the next layer's inputs, "
        f"equal shapes in the order of their names: {shown}."
    )


def first_break(parts: Sequence[Part]) -> str | None:
    """Say where a chain of layers breaks, or None."""
    for before, after in pairwise(parts):
        if before.outputs != after.inputs:
            return (
                f"{after.label}.weight {show_shape(after.shape)} takes {after.inputs} inputs, but "
                f"{before.label}.weight {show_shape(before.shape)} before "
                f"it gives {before.outputs}."
            )
    return None


def _role(part: Part) -> int:
    words = words_in(part.path)
    return (bool(words & LAST_WORDS)) - (bool(words & FIRST_WORDS))


def _search(parts: Sequence[Part]) -> tuple[Part, ...] | None:
    """Depth-first search for a chain through all parts; the earlier name is tried first."""
    chain: list[int] = []
    untried: list[list[int]] = [list(range(len(parts)))]
    for _ in range(SEARCH_STEPS):
        if not untried[-1]:
            untried.pop()
            if not chain:
                return None
            chain.pop()
            continue
        chain.append(untried[-1].pop(0))
        if len(chain) == len(parts):
            return tuple(parts[i] for i in chain)
        outputs = parts[chain[-1]].outputs
        rest = [i for i in range(len(parts)) if i not in chain and parts[i].inputs == outputs]
        untried.append(rest)
    return None


def attach_norms(hosts: Sequence[Part], norms: Sequence[Part]) -> dict[str, Part]:
    """Find the layer that each norm follows: by place in a Sequential, by name, by order.

    Args:
        hosts: Linear or conv layers in running order.
        norms: BatchNorm and LayerNorm layers in natural order.

    Returns:
        Path of the host -> its norm.

    Raises:
        UnknownArchitectureError: A norm fits no layer; names it.
    """
    attached: dict[str, Part] = {}
    for norm in norms:
        free = [h for h in hosts if h.path not in attached and h.outputs == norm.outputs]
        for host in (
            _just_before(hosts, norm),
            _same_parent(hosts, norm),
            _same_number(free, norm),
        ):
            if host is not None and host in free:
                attached[host.path] = norm
                break
        else:
            return _attach_in_order(hosts, norms, norm)
    return attached


def _just_before(hosts: Sequence[Part], norm: Part) -> Part | None:
    """The last host before the norm in the same numbered container."""
    place = container_and_index(norm.path)
    places = {host.path: container_and_index(host.path) for host in hosts}
    before = [
        (other[1], host)
        for host in hosts
        if place and (other := places[host.path]) and other[0] == place[0] and other[1] < place[1]
    ]
    return max(before, key=lambda pair: pair[0])[1] if before else None


def _same_parent(hosts: Sequence[Part], norm: Part) -> Part | None:
    """The only host inside the same block, as in features.3.conv and features.3.norm."""
    parent = norm.path.rpartition(".")[0]
    inside = [host for host in hosts if parent and host.path.rpartition(".")[0] == parent]
    return inside[0] if len(inside) == 1 and container_and_index(norm.path) is None else None


def _same_number(hosts: Sequence[Part], norm: Part) -> Part | None:
    """The first host with the same numbers in its name, as in fc2 and bn2."""
    numbers = numbers_in(norm.path)
    return next((host for host in hosts if numbers and numbers_in(host.path) == numbers), None)


def _attach_in_order(hosts: Sequence[Part], norms: Sequence[Part], lost: Part) -> dict[str, Part]:
    pairs = list(zip(hosts, norms, strict=False))
    if len(norms) > len(hosts) or any(host.outputs != norm.outputs for host, norm in pairs):
        raise UnknownArchitectureError(
            f"The norm {lost.label} {show_shape(lost.shape)} follows no layer with "
            f"{lost.outputs} outputs."
        )
    return {host.path: norm for host, norm in pairs}


def index_gap(host: Part, norm: Part) -> int | None:
    """How many places a norm stands behind its layer in one Sequential; None elsewhere."""
    before, after = container_and_index(host.path), container_and_index(norm.path)
    if before and after and before[0] == after[0]:
        return after[1] - before[1]
    return None
