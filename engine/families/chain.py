"""Layers put into the order in which they run, and norms put behind the layer they follow.

A state dict has no reliable order (safetensors sorts by name), so names come first and shapes
decide: every layer's outputs must be the next one's inputs.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
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
SEARCHED_LAYERS = 1_000  # more layers than that must be named in order


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
    found = _search(named) if len(named) <= SEARCHED_LAYERS else None
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
    takers: dict[int, list[int]] = defaultdict(list)
    for i, part in enumerate(parts):
        takers[part.inputs].append(i)
    chain: list[int] = []
    used: set[int] = set()
    untried: list[Iterator[int]] = [iter(range(len(parts)))]
    for _ in range(SEARCH_STEPS):
        step = next((i for i in untried[-1] if i not in used), None)
        if step is None:
            untried.pop()
            if not chain:
                return None
            used.discard(chain.pop())
            continue
        chain.append(step)
        used.add(step)
        if len(chain) == len(parts):
            return tuple(parts[i] for i in chain)
        untried.append(iter(takers[parts[step].outputs]))
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
    places = _Places.of(hosts)
    for norm in norms:
        for host in places.candidates(norm):
            if host.path not in attached and host.outputs == norm.outputs:
                attached[host.path] = norm
                break
        else:
            return _attach_in_order(hosts, norms, norm)
    return attached


@dataclass(frozen=True)
class _Places:
    """Layers by the container they are numbered in, by parent, and by the numbers in the name."""

    numbered: Mapping[str, list[tuple[int, Part]]]
    parents: Mapping[str, list[Part]]
    numbers: Mapping[tuple[int, ...], list[Part]]

    @classmethod
    def of(cls, hosts: Sequence[Part]) -> _Places:
        places = cls(defaultdict(list), defaultdict(list), defaultdict(list))
        for host in hosts:
            if place := container_and_index(host.path):
                places.numbered[place[0]].append((place[1], host))
            places.parents[host.path.rpartition(".")[0]].append(host)
            places.numbers[numbers_in(host.path)].append(host)
        for inside in places.numbered.values():
            inside.sort(key=_index)
        return places

    def candidates(self, norm: Part) -> Iterator[Part]:
        """Yield the layers that a norm may follow, the likeliest first."""
        place, parent = container_and_index(norm.path), norm.path.rpartition(".")[0]
        if place is not None:
            inside = self.numbered.get(place[0], [])
            before = bisect_left(inside, place[1], key=_index)
            yield from (host for _, host in inside[max(before - 1, 0) : before])
        elif parent and len(self.parents.get(parent, ())) == 1:
            yield self.parents[parent][0]
        if numbers := numbers_in(norm.path):
            yield from self.numbers.get(numbers, ())


def _index(numbered: tuple[int, Part]) -> int:
    return numbered[0]


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
