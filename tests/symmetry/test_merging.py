"""Groups on scattered stretches: found where units may be exchanged, and only there."""

from __future__ import annotations

import itertools
from math import factorial, prod

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.program import Program
from engine.symmetry import Occurrence, Symmetry, derive_symmetry, prove
from tests.symmetry.grammar.recorder import record
from tests.symmetry.rules.case import Case
from tests.symmetry.tiny import Tiny

BATCH = 5
FLAT = {"w": (4, 3), "v": (8, 3), "s": (8, 8), "out": (8, 2)}


def padded(h: Tensor, first: int = 2, second: int = 2, value: float = 0.0) -> Tensor:
    return F.pad(h, (first, second), value=value)


def mixed(p: object, y: Tensor) -> Tensor:
    """What follows a shortcut: a layer is added, and another one reads the sum."""
    return (y + torch.cos(y @ p.s)).relu() @ p.out


def shuffled(x: Tensor, groups: int = 2) -> Tensor:
    n, channels, *space = x.shape
    x = x.view(n, groups, channels // groups, *space).transpose(1, 2).contiguous()
    return x.view(n, channels, *space)


def pads_that_are_filled(p: object, x: Tensor) -> Tensor:
    """The cosine makes ones of the first zeros, and none of those that come later."""
    y = F.pad(torch.cos(F.pad(x @ p.w.t(), (2, 0))), (0, 2))
    return mixed(p, y)


def masked(p: object, x: Tensor) -> Tensor:
    return mixed(p, (x @ p.v.t()) * padded(torch.ones(1, 4)))


def overwritten(p: object, x: Tensor) -> Tensor:
    y = x @ p.v.t()
    return mixed(p, torch.slice_scatter(y, torch.zeros_like(y[:, :3]), 1, 0, 3))


def scattered_zeros(p: object, x: Tensor) -> Tensor:
    y = (x @ p.v.t()).t()
    index = torch.zeros(3, y.shape[1], dtype=torch.long)
    wide = y[:, :, None].expand(-1, -1, 2)
    return mixed(p, torch.scatter(wide, 2, index[:, :, None], -1.0).sum(2).t())


def stretched(p: object, x: Tensor) -> Tensor:
    """Two vectors, each stretched along a new axis: the same along it, but not across."""
    left, right = (x @ p.w.t()), (x @ p.v[:4].t())
    both = torch.cat([left[:, :, None].expand(-1, -1, 4), right[:, :, None].expand(-1, -1, 4)], 2)
    return mixed(p, (both.cos() * (x @ p.v.t())[:, None]).sum(1))


CASES = (
    Case("pads", lambda p, x: mixed(p, padded(x @ p.w.t())), FLAT, (3,), (4, 4, 4)),
    Case(
        "pads of one",
        lambda p, x: mixed(p, padded(x @ p.w.t()[:, 1:3], 3, 3, 1.0)),
        FLAT,
        (3,),
        (2, 2, 6, 6),
    ),
    Case(
        "pads twice",
        lambda p, x: mixed(p, padded(padded(x @ p.w.t()[:, :2], 1, 1))),
        FLAT,
        (3,),
        (2, 2, 2, 2, 4, 4),
    ),
    Case(
        "pads of two values",
        lambda p, x: mixed(p, F.pad(padded(x @ p.w.t(), 2, 0), (0, 2), value=1.0)),
        FLAT,
        (3,),
        (2, 2, 2, 2, 4),
    ),
    Case("pads that are filled", pads_that_are_filled, FLAT, (3,), (2, 2, 2, 2, 4)),
    Case("masked", masked, FLAT, (3,), (4, 4)),
    Case("overwritten", overwritten, FLAT, (3,), (3, 5)),
    Case("scattered zeros", scattered_zeros, FLAT, (3,), (3, 5)),
    Case("stretched", stretched, FLAT, (3,), (4, 4)),
    Case(
        "a middle is read",
        lambda p, x: mixed(p, x @ p.v.t()) + (x @ p.v.t())[:, 3:6] @ p.out[3:6],
        FLAT,
        (3,),
        (3, 5),
    ),
    Case(
        "one is read", lambda p, x: mixed(p, x @ p.v.t()) + (x @ p.v.t())[:, 3:4], FLAT, (3,), (7,)
    ),
    Case(
        "swapped",
        lambda p, x: mixed(p, torch.cat([(y := x @ p.v.t())[:, 4:], y[:, :4]], 1)),
        FLAT,
        (3,),
        (4, 4),
    ),
    Case(
        "norm in groups",
        lambda p, x: (
            F.group_norm(torch.cat([x @ p.w.t()[:, :2], (x @ p.v.t())[:, :4]], 1), 2).relu()
            @ p.out[:6]
        ),
        FLAT,
        (3,),
        (),
    ),
    Case(
        "shuffled",
        lambda p, x: (
            shuffled(torch.cat([x @ p.w.t(), (x @ p.w.t()).cos() @ p.u], 1)).relu() @ p.out
        ),
        {**FLAT, "u": (4, 4)},
        (3,),
        (4, 4),
    ),
    Case(
        "shuffled and cut",
        lambda p, x: shuffled(x @ p.v.t())[:, :4].relu() @ p.out[:4],
        FLAT,
        (3,),
        (4, 4, 4),
    ),
    Case("shuffled whole", lambda p, x: shuffled(x @ p.v.t(), 4).relu() @ p.out, FLAT, (3,), (8,)),
    Case(
        "shuffled, one is read",
        lambda p, x: (y := shuffled(x @ p.v.t())).relu() @ p.out + y[:, 2:3],
        FLAT,
        (3,),
        (7,),
    ),
    Case(
        "shuffled, then summed",
        lambda p, x: mixed(p, shuffled(x @ p.v.t()) + x @ p.v.t()),
        FLAT,
        (3,),
        (),
    ),
    Case(
        "shuffled, then in groups",
        lambda p, x: (
            F.conv1d(shuffled((x @ p.v.t())[:, :, None]), p.g, groups=2).flatten(1).relu()
            @ p.out[:4]
        ),
        {**FLAT, "g": (4, 4, 1)},
        (3,),
        (),
    ),
)
"""With the sizes of the groups counted by hand; () where only soundness is asked for."""


def program_of(case: Case) -> tuple[Tiny, Program]:
    module = Tiny(case.function, case.shapes).eval()
    x = torch.randn(BATCH, *case.inputs, generator=torch.Generator().manual_seed(4))
    return module, record(module, x)


def moving(symmetry: Symmetry) -> list[int]:
    return sorted(group.size for group in symmetry.groups)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_scattered_groups_are_found_and_proved(case):
    module, program = program_of(case)
    symmetry = derive_symmetry(program)
    assert symmetry.report.ops_without_rule == ()
    params = dict(module.state_dict())
    assert (
        not symmetry.groups
        or prove(program, symmetry, params, trials=6, batch=BATCH).relative < 1e-9
    )
    if case.sizes:
        assert moving(symmetry) == sorted(case.sizes)


class ShuffleUnits(nn.Module):
    """ShuffleNetV2 at its smallest: a stem, units that split and shuffle, a head."""

    def __init__(self, channels: int = 8, units: int = 2) -> None:
        super().__init__()
        half = channels // 2
        self.stem = nn.Linear(3, channels)
        self.up = nn.ModuleList(nn.Linear(half, 3) for _ in range(units))
        self.down = nn.ModuleList(nn.Linear(3, half) for _ in range(units))
        self.head = nn.Linear(channels, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x).relu()
        for up, down in zip(self.up, self.down, strict=True):
            passing, taken = x.chunk(2, 1)
            x = shuffled(torch.cat([passing, down(up(taken).relu()).relu()], 1))
        return self.head(x)


def ways(channels: int, units: int) -> dict[tuple[str, int], list[tuple[str, int]]]:
    """Return for every channel made by a layer which layers read it, and where: by hand.

    Channels are cards that each layer marks and that the shuffle deals.
    """
    half, read = channels // 2, {}
    cards = [("stem", n) for n in range(channels)]
    for number in range(units):
        passing, taken = cards[:half], cards[half:]
        for place, card in enumerate(taken):
            read.setdefault(card, []).append((f"up.{number}", place))
        made = [(f"down.{number}", n) for n in range(half)]
        cards = [card for pair in zip(passing, made, strict=True) for card in pair]
    for place, card in enumerate(cards):
        read.setdefault(card, []).append(("head", place))
    return read


@pytest.mark.parametrize(("channels", "units"), [(4, 1), (8, 2), (8, 3), (12, 2)])
def test_channels_of_a_shuffle_permute_if_the_same_layers_read_them(channels, units):
    """Two channels of a layer may be exchanged if and only if the same layers read them."""
    module = ShuffleUnits(channels, units).eval()
    program = record(module, torch.randn(BATCH, 3))
    symmetry = derive_symmetry(program)
    classes: dict[tuple[str, ...], int] = {}
    for (maker, _), readers in ways(channels, units).items():
        key = (maker, *(layer for layer, _ in readers))
        classes[key] = classes.get(key, 0) + 1
    expected = [size for size in classes.values() if size > 1] + [3] * units
    assert moving(symmetry) == sorted(expected)
    assert prove(program, symmetry, dict(module.state_dict()), batch=BATCH).relative < 1e-12


def test_a_shuffled_network_has_no_further_exchanges_of_channels():
    """Brute force: of all orders of a layer's channels, those that some reading undoes."""
    channels, units = 8, 2
    module = ShuffleUnits(channels, units).double().eval()
    x = torch.randn(BATCH, 3, dtype=torch.float64)
    params, expected, read = dict(module.state_dict()), module(x), ways(channels, units)
    symmetry = derive_symmetry(record(module.float(), x.float()))
    module.double()
    for layer, size in (("stem", 8), ("down.0", 4), ("down.1", 4)):
        found = 0
        for order in itertools.permutations(range(size)):
            moved = dict(params)
            for part in ("weight", "bias"):
                moved[f"{layer}.{part}"] = params[f"{layer}.{part}"][list(order)]
            if not rewired(moved, params, layer, order, read):
                continue
            same = torch.func.functional_call(module, moved, (x,))
            found += bool((same - expected).abs().max() < 1e-12)
        made = (f"{layer}.bias", 0)
        own = [g for g in symmetry.groups if made in {(o.parameter, o.axis) for o in g.occurrences}]
        assert found == prod(factorial(group.size) for group in own)


def rewired(moved: dict, params: dict, layer: str, order: tuple[int, ...], read: dict) -> bool:
    """Bring each reader's columns to where its channels now are; False if another reads them."""
    for new, old in enumerate(order):
        now, then = read[layer, new], read[layer, old]
        if [name for name, _ in now] != [name for name, _ in then]:
            return False
        for (name, place), (_, before) in zip(now, then, strict=True):
            weight = moved[f"{name}.weight"].clone()
            weight[:, place] = params[f"{name}.weight"][:, before]
            moved[f"{name}.weight"] = weight
    return True


def test_scattered_units_are_put_back_bit_for_bit():
    module = ShuffleUnits(12, 2)
    symmetry = derive_symmetry(record(module.eval(), torch.randn(BATCH, 3)))
    assert any(o.pieces for group in symmetry.groups for o in group.occurrences)
    params = dict(module.state_dict())
    permutation = symmetry.random(torch.Generator().manual_seed(1))
    moved = symmetry.apply(permutation, params)
    back = symmetry.apply(permutation.inverse(), moved)
    assert all(torch.equal(back[name], params[name]) for name in params)
    other = symmetry.random(torch.Generator().manual_seed(2))
    twice = symmetry.apply(other, moved)
    assert all(
        torch.equal(tensor, twice[name])
        for name, tensor in symmetry.apply(other.compose(permutation), params).items()
    )


def test_occurrences_name_their_stretches():
    whole = Occurrence("w", 0, 3, 2, 2, 1)
    assert whole.stretches == ((3, 7),)
    apart = Occurrence("w", 0, 1, 2, 3, 1, pieces=((5, 1), (1, 2)))
    assert (apart.stretches, apart.stop) == (((5, 7), (1, 5)), 7)
