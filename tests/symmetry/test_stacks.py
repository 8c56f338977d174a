"""Convolutions in groups behind shuffles: each group's weight has axes of its own."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from math import factorial, prod

import pytest
import torch
from torch import Tensor, nn

from engine.errors import ProofError
from engine.program import Program
from engine.symmetry import Occurrence, Symmetry, derive_symmetry, groups, prove
from engine.symmetry.layout import layouts
from engine.symmetry.rules import contraction
from engine.symmetry.rules.registry import Axes, Call, Value
from engine.symmetry.stacks import stacked_weights
from engine.symmetry.unify import Algebra
from tests.symmetry.grammar.recorder import record
from tests.symmetry.test_merging import moving, shuffled

BATCH = 5


class Units(nn.Module):
    """ShuffleNetV1 at its smallest: units of two convolutions in groups with a shuffle between.

    Args:
        channels: of the stream.
        middle: between the two convolutions.
        groups: of both.
        units: how many.
        joined: what the first unit adds to the stream by concatenation, 0 for an ordinary one.
    """

    def __init__(self, channels: int, middle: int, groups: int, units: int, joined: int = 0):
        super().__init__()
        self.groups, self.joined = groups, joined
        before = [channels] + [channels + joined] * (units - 1)
        after = [joined or channels, *before[1:]]
        self.stem = nn.Conv1d(3, channels, 1)
        self.up = nn.ModuleList(
            nn.Conv1d(n, middle, 1, groups=1 if joined and not i else groups)
            for i, n in enumerate(before)
        )
        self.norm = nn.ModuleList(nn.BatchNorm1d(middle) for _ in before)
        self.depth = nn.ModuleList(nn.Conv1d(middle, middle, 1, groups=middle) for _ in before)
        self.down = nn.ModuleList(nn.Conv1d(middle, n, 1, groups=groups) for n in after)
        self.head = nn.Linear(channels + joined, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x[:, :, None]).relu()
        for number, (up, norm) in enumerate(zip(self.up, self.norm, strict=True)):
            y = shuffled(norm(up(x)).relu(), self.groups)
            y = self.down[number](self.depth[number](y))
            x = torch.cat([x, y], 1) if self.joined and not number else (x + y)
            x = x.relu()
        return self.head(x.flatten(1))


def expected(net: Units) -> list[int]:
    """Return the sizes of the groups, by hand: channels are cards that each group marks.

    A channel is told by the groups that make it and those that read it. The stream's channel is
    made by the stem or, joined, by a group; later units read and make it in groups.
    """
    channels, middle = net.stem.out_channels, net.depth[0].in_channels
    cards: list[tuple[object, ...]] = [("stem",)] * channels
    sizes: list[int] = []
    for number, (up, down) in enumerate(zip(net.up, net.down, strict=True)):
        made = [("up", n // (middle // up.groups)) for n in range(middle)]
        order = [
            n for i in range(middle // net.groups) for n in range(i, middle, middle // net.groups)
        ]
        read = {n: place // (middle // down.groups) for place, n in enumerate(order)}
        sizes += Counter((made[n], read[n]) for n in range(middle)).values()
        if up.groups > 1:
            cards = [(*card, n // (len(cards) // up.groups)) for n, card in enumerate(cards)]
        own = [n // (down.out_channels // down.groups) for n in range(down.out_channels)]
        if net.joined and not number:
            cards += [("joined", group) for group in own]
        else:
            cards = [(*card, group) for card, group in zip(cards, own, strict=True)]
    return sorted(n for n in (*sizes, *Counter(cards).values()) if n > 1)


def traced(*sizes: int) -> tuple[Units, Program, Symmetry]:
    torch.manual_seed(0)
    net = Units(*sizes).eval()
    for norm in net.norm:
        norm.running_mean.copy_(torch.randn(norm.num_features) / 4)
        norm.running_var.copy_(torch.rand(norm.num_features) + 0.5)
        nn.init.normal_(norm.weight)
    program = record(net, torch.randn(BATCH, 3))
    return net, program, derive_symmetry(program)


SIZES = [(8, 8, 2, 2), (4, 6, 2, 1), (6, 12, 3, 2), (6, 15, 3, 1), (9, 18, 3, 2), (4, 12, 2, 3, 8)]


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_channels_permute_if_the_same_groups_make_and_read_them(sizes):
    net, program, symmetry = traced(*sizes)
    assert symmetry.report.ops_without_rule == ()
    assert moving(symmetry) == expected(net)
    assert prove(program, symmetry, dict(net.state_dict()), batch=BATCH).relative < 1e-12


def test_the_tiny_network_has_the_groups_that_were_counted():
    """Two streams of two; of six channels, 0 1 | 2 of one group go to 0 1 | 2 of the next."""
    net, _, symmetry = traced(4, 6, 2, 1)
    assert expected(net) == moving(symmetry) == [2, 2, 2, 2]


def test_channels_between_two_convolutions_have_no_further_exchanges():
    """Brute force: of all orders of the channels, those that some reading undoes."""
    net, _, symmetry = traced(4, 6, 2, 1)
    net.double()
    x = 4 * torch.randn(64, 3, dtype=torch.float64)  # so that no unit is always off
    params, before = dict(net.state_dict()), net(x)
    made = [n for n in params if n.startswith(("up.", "norm."))]
    place = {n: p for p, n in enumerate((0, 3, 1, 4, 2, 5))}  # channel → where it is dealt to
    found = 0
    for order in itertools.permutations(range(6)):
        if any(place[n] // 3 != place[order[n]] // 3 for n in range(6)):
            continue  # it would be read by another group
        moved = {n: t[list(order)] if n in made and t.dim() else t for n, t in params.items()}
        dealt = [place[order[n]] for n in sorted(place, key=place.__getitem__)]
        moved |= {n: t[dealt] for n, t in params.items() if n.startswith("depth.")}
        down = params["down.0.weight"].clone()
        for n in range(6):
            rows = slice(0, 2) if place[n] < 3 else slice(2, 4)
            down[rows, place[n] % 3] = params["down.0.weight"][rows, place[order[n]] % 3]
        moved["down.0.weight"] = down
        found += bool((torch.func.functional_call(net, moved, (x,)) - before).abs().max() < 1e-12)
    own = [g for g in symmetry.groups if g.name.startswith("up.0")]
    assert found == prod(factorial(group.size) for group in own) == 4


def test_parts_of_a_weight_are_put_back_bit_for_bit():
    net, _, symmetry = traced(6, 12, 3, 2)
    assert any(o.rows for group in symmetry.groups for o in group.occurrences)
    params = dict(net.state_dict())
    first, second = (symmetry.random(torch.Generator().manual_seed(seed)) for seed in (1, 2))
    moved = symmetry.apply(first, params)
    back = symmetry.apply(first.inverse(), moved)
    assert all(torch.equal(back[name], params[name]) for name in params)
    twice, composed = symmetry.apply(second, moved), symmetry.apply(second.compose(first), params)
    assert all(torch.equal(tensor, twice[name]) for name, tensor in composed.items())


def test_a_part_is_laid_out_beside_the_rows_that_it_stands_in():
    part = Occurrence("w", 1, 1, 1, 2, 1).in_rows(2, 4)
    assert (part.rows, part.stretches) == ((2, 4), ((1, 3),))
    rows = Occurrence("w", 0, 0, 1, 2, 1, pieces=((1, 1), (0, 1))).in_rows(2, 4)
    assert (rows.start, rows.pieces, rows.rows) == (2, ((3, 1), (2, 1)), None)
    group = groups.Group("g", 2, (part,))
    layout = layouts([group], {"w": (4, 3, 5)})["w"]
    assert layout.blocks == ((4, 3), (5,))
    assert layout.carried[0].occurrence.stretches == ((7, 9), (10, 12))
    other = Occurrence("w", 1, 1, 1, 2, 1).in_rows(0, 2)
    assert not part.overlaps(other)
    assert part.overlaps(part.in_rows(3, 4))


def test_weights_that_something_else_reads_are_no_stacks():
    class Read(nn.Module):
        def __init__(self, *, twice: bool) -> None:
            super().__init__()
            self.conv, self.twice = nn.Conv1d(4, 4, 1, groups=2), twice
            self.depth = nn.Conv1d(4, 4, 1, groups=4)

        def forward(self, x: Tensor) -> Tensor:
            y = self.depth(self.conv(x[:, :, None]))
            return (y + self.conv.weight.sum()).flatten(1) if self.twice else y.flatten(1)

    x = torch.randn(2, 4)
    assert stacked_weights(record(Read(twice=False).eval(), x)) == {"conv.weight": 2}
    assert stacked_weights(record(Read(twice=True).eval(), x)) == {}


# --- what is wrong -------------------------------------------------------------------------


def in_all_rows(self: Occurrence, start: int, stop: int) -> Occurrence:
    """Permute the inputs of all groups alike."""
    return IN_ROWS(self, start, stop) if self.axis == 0 else self


def in_the_first_rows(self: Occurrence, start: int, stop: int) -> Occurrence:
    return IN_ROWS(self, 0, stop - start)


def parts_exchanged(call: Call, parts: tuple[Axes, ...]) -> Value:
    """Let each group read the channels of another one."""
    turned = tuple((a[0], *b[1:]) for a, b in zip(parts, parts[::-1], strict=True))
    return CONVOLUTIONS(call, turned)


def outputs_exchanged(call: Call, parts: tuple[Axes, ...]) -> Value:
    turned = tuple((a[0], *b[1:]) for a, b in zip(parts[::-1], parts, strict=True))
    return CONVOLUTIONS(call, turned)


def nothing_contracted(call: Call, parts: tuple[Axes, ...]) -> Value:
    """Forget that the inputs are read."""
    forgotten = tuple((a[0], *call.free([a[1].size]), *a[2:]) for a in parts)
    return CONVOLUTIONS(call, forgotten)


IN_ROWS, CONVOLUTIONS = Occurrence.in_rows, contraction._convolutions
CORRUPTIONS: tuple[tuple[object, str, Callable[..., object]], ...] = (
    (Occurrence, "in_rows", in_all_rows),
    (Occurrence, "in_rows", in_the_first_rows),
    (contraction, "_convolutions", parts_exchanged),
    (contraction, "_convolutions", outputs_exchanged),
    (contraction, "_convolutions", nothing_contracted),
    (Algebra, "segment", lambda algebra, axis, start, stop: Algebra.free(algebra, stop - start)),
)


@pytest.mark.parametrize(
    ("owner", "step", "wrong"), CORRUPTIONS, ids=[f"{s} {w.__name__}" for _, s, w in CORRUPTIONS]
)
def test_a_broken_stack_is_caught(monkeypatch, owner, step, wrong):
    net, program, symmetry = traced(8, 8, 2, 2)
    monkeypatch.setattr(owner, step, wrong)
    broken = derive_symmetry(program)
    moves = [{frozenset(g.occurrences) for g in one.groups} for one in (symmetry, broken)]
    assert moves[0] != moves[1]
    with pytest.raises(ProofError, match="a permutation changed the outputs"):
        prove(program, broken, dict(net.state_dict()), trials=6, batch=BATCH)
