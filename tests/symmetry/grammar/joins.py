"""Steps that join and divide the channels."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from tests.symmetry.grammar.net import SPATIAL, Net, step


@step(counted=True)
def branches(net: Net) -> None:
    widths = [net.draw.choice((2, 3, 4)) for _ in range(2)]
    left, right = (net.layer(net.width, width) for width in widths)
    keep, axis = net.draw.random() < 0.5, net.axis
    net.then(lambda x: torch.cat([left(x), right(x), *([x] if keep else [])], axis))
    kept = net.ledger.stream if keep else ()
    net.ledger.stream = (*map(net.ledger.fresh, widths), *kept)
    net.width = sum(widths) + (net.width if keep else 0)


@step(counted=True)
def halves_swapped(net: Net) -> None:
    if net.width % 2:
        return
    axis = net.axis
    net.then(lambda x: torch.cat(x.chunk(2, axis)[::-1], axis))
    left, right = net.ledger.cut(net.width // 2)
    net.ledger.read(left)
    net.ledger.read(right)
    net.ledger.stream = (*right, *left)


@step(counted=True)
def halves_added(net: Net) -> None:
    if net.width % 2:
        return
    axis, half = net.axis, net.width // 2
    net.then(lambda x: sum(x.split(half, axis)), half)
    left, right = net.ledger.cut(half)
    net.ledger.tie(left, right)
    net.ledger.stand_twice(right)
    net.ledger.stream = left


@step(counted=True)
def part_passes_by(net: Net) -> None:
    """The first units pass, a layer works on the rest."""
    if net.width < 3:
        return
    axis, kept = net.axis, net.draw.choice((1, 2))
    layer = net.layer(net.width - kept, 4)
    rest = net.width - kept
    net.then(
        lambda x: torch.cat([x.narrow(axis, 0, kept), layer(x.narrow(axis, kept, rest))], axis),
        kept + 4,
    )
    head, others = net.ledger.cut(kept)
    net.ledger.read(head)
    net.ledger.read(others)
    net.ledger.stream = (*head, net.ledger.fresh(4))


@step(counted=True)
def cropped(net: Net) -> None:
    if net.width < 5:
        return
    axis, start = net.axis, net.draw.choice((0, 1, 2))
    size = net.width - start - 1
    net.then(lambda x: x.narrow(axis, start, size), size)
    _, rest = net.ledger.cut(start)
    net.ledger.stream = rest
    net.ledger.stream, _ = net.ledger.cut(size)
    net.ledger.read(net.ledger.stream)


@step()
def padded(net: Net) -> None:
    """Zeros before and behind the channels, as option A of ResNets has them.

    Every layer permutes them by itself: more groups than the ledger has words for.
    """
    before, after = net.draw.choice(((0, 2), (1, 2), (2, 0), (1, 1), (2, 2)))
    zeros = (0, 0) * (len(net.space) if net.axis == 1 else 0)
    net.then(lambda x: F.pad(x, (*zeros, before, after)), net.width + before + after)
    net.ledger.stream = (net.ledger.fresh(net.width),)


@step(counted=True)
def doubled(net: Net) -> None:
    axis = net.axis
    layer = net.layer(2 * net.width, 5)
    net.then(lambda x: layer(torch.cat([x, x.relu()], axis)), 5)
    net.ledger.stand_twice(net.ledger.stream)
    net.ledger.stream = (net.ledger.fresh(5),)


@step(counted=True)
def stacked(net: Net) -> None:
    layer, dim = net.layer(net.width, net.width), net.draw.choice((0, 1))

    def forward(x):
        both = torch.stack([x, layer(x).tanh()], dim)
        first, second = both.unbind(dim)
        return both.sum(dim) + first * second

    net.then(forward)


@step(counted=True)
def one_unit_scales_all(net: Net) -> None:
    axis, place = net.axis, net.draw.randrange(net.width)
    net.then(lambda x: x * torch.tanh(x.select(axis, place)).unsqueeze(axis))
    head, rest = net.ledger.cut(place)
    net.ledger.stream = rest
    one, rest = net.ledger.cut(1)
    net.ledger.read(one)
    net.ledger.stream = (*head, *one, *rest)


@step()
def uneven(net: Net) -> None:
    """Three stretches, two of which meet."""
    if net.width < 5:
        return
    axis, rest = net.axis, net.width - 4
    layer = net.layer(net.width, net.width)

    def forward(x):
        first, middle, last = layer(x).split_with_sizes([2, rest, 2], axis)
        return torch.cat([first * last, middle, first], axis)

    net.then(forward)


@step()
def places_chosen(net: Net) -> None:
    axis, way = net.axis, net.draw.choice(("index", "flip", "roll", "cumsum", "sort", "stride"))
    layer = net.layer(net.width, net.width)
    order = net.constant(torch.tensor(net.draw.sample(range(net.width), net.width)))
    if way == "index":
        net.then(lambda x: layer(x).index_select(axis, order.value))
    elif way == "stride":
        size = -(-net.width // 2)
        net.then(lambda x: layer(x).movedim(axis, -1)[..., ::2].movedim(-1, axis), size)
    elif way == "sort":
        net.then(lambda x: x + layer(x).sort(axis).values)
    elif way == "roll":
        net.then(lambda x: layer(x).roll(1, axis))
    else:
        net.then(lambda x: x + getattr(layer(x), way)(axis))


@step("tokens", *SPATIAL, counted=True)
def positions_chosen(net: Net) -> None:
    """Order among positions matters and leaves the channels alone."""
    place = 1 if net.layout == "tokens" else -1
    way = net.draw.choice(("flip", "roll", "cumsum", "index", "sort", "gather"))
    size = net.space[0 if net.layout == "tokens" else -1]
    order = net.constant(torch.tensor(net.draw.sample(range(size), size)))
    if way == "index":
        net.then(lambda x: x + x.index_select(place, order.value))
    elif way == "gather":
        net.then(lambda x: x[:, order.value] + x if place == 1 else x[..., order.value] + x)
    elif way == "sort":
        net.then(lambda x: x.sort(place).values)
    elif way == "roll":
        net.then(lambda x: x - 0.5 * torch.roll(x, (1,), (place,)))
    elif way == "flip":
        net.then(lambda x: x + 0.5 * x.flip(place).relu())
    else:
        net.then(lambda x: x.cumsum(place) / size)


@step("tokens", counted=True)
def position_table(net: Net) -> None:
    table = net.held(1, net.positions, net.width)
    net.then(lambda x: x + table.value)


@step("tokens", counted=True)
def first_token_added(net: Net) -> None:
    token = net.held(1, 1, net.width)
    net.then(lambda x: torch.cat([token.value.expand(x.shape[0], -1, -1), x], 1))
    net.becomes("tokens", (net.positions + 1,))


@step("features", *SPATIAL)
def shortcut(net: Net) -> None:
    """Option A of ResNets: a layer makes more channels, the shortcut is padded with zeros."""
    zeros, more = (0, 0) * len(net.space), net.draw.choice((2, 4))
    layer = net.layer(net.width, net.width + more)
    pads = (*zeros, more // 2, more // 2)
    net.then(lambda x: layer(x).tanh() + F.pad(x, pads), net.width + more)
    net.ledger.stream = (net.ledger.fresh(net.width),)


@step("features", *SPATIAL)
def split_and_shuffled(net: Net) -> None:
    """ShuffleNetV2: half of the channels passes, half goes through a layer; then a shuffle."""
    if net.width % 2:
        return
    half, way = net.width // 2, net.draw.choice(("view", "op" if net.space else "view", "cut"))
    layer = net.layer(half, half)

    def forward(x):
        passing, taken = x.chunk(2, 1)
        both = torch.cat([passing, layer(taken)], 1)
        if way == "op":
            return F.channel_shuffle(both, 2)
        dealt = both.unflatten(1, (2, half)).transpose(1, 2).flatten(1, 2)
        return dealt if way == "view" else dealt[:, 1:]

    net.then(forward, net.width - (way == "cut"))
