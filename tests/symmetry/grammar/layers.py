"""Steps that contract: linear layers and convolutions of all kinds, tied and shared ones."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from tests.symmetry.grammar.net import CONVOLUTIONS, SPATIAL, Net, step

WIDTHS = (4, 6, 8)
TRANSPOSED = {"line": nn.ConvTranspose1d, "image": nn.ConvTranspose2d, "volume": nn.ConvTranspose3d}


@step(counted=True)
def dense(net: Net) -> None:
    width = net.draw.choice(WIDTHS)
    net.then(net.layer(net.width, width), width)
    net.ledger.stream = (net.ledger.fresh(width),)


@step(counted=True)
def residual(net: Net) -> None:
    inside = net.draw.choice((3, 5))
    up, down = net.layer(net.width, inside), net.layer(inside, net.width)
    net.then(lambda x: x + down(up(x).relu()))
    net.ledger.fresh(inside)


@step(counted=True)
def same_layer_twice(net: Net) -> None:
    part = net.layer(net.width, net.width)
    net.then(lambda x: part(part(x).tanh()))


@step("features", "tokens", counted=True)
def tied_transposed(net: Net) -> None:
    weight, inside = net.held(5, net.width), 5
    net.then(lambda x: x + (F.linear(x, weight.value).relu() @ weight.value) / inside)
    net.ledger.fresh(inside)


@step("features", "tokens", counted=True)
def product_of_two(net: Net) -> None:
    left, right = net.held(net.width, 3), net.held(3, net.width)
    net.then(lambda x: x + x @ (left.value @ right.value))
    net.ledger.fresh(3)


@step("features", "tokens", counted=True)
def one_parameter_in_two_places(net: Net) -> None:
    vector = net.held(net.width)
    part = net.layer(net.width, net.width)
    net.then(lambda x: part(x * vector.value).relu() + vector.value)
    # The sum ties the layer's own result to its input.


@step("features", "tokens", counted=True)
def bilinear(net: Net) -> None:
    form = net.held(4, net.width, net.width)
    net.then(lambda x: torch.einsum("...i,oij,...j->...o", x, form.value, x), 4)
    net.ledger.stream = (net.ledger.fresh(4),)


@step("features", "tokens", counted=True)
def experts(net: Net) -> None:
    gate = net.part(nn.Linear(net.width, 3))
    up, down = net.held(3, net.width, 5), net.held(3, 5, net.width)
    batch = "bt" if net.layout == "tokens" else "b"

    def forward(x):
        hidden = torch.einsum(f"{batch}i,eih->{batch}eh", x, up.value).relu()
        out = torch.einsum(f"{batch}eh,eho->{batch}eo", hidden, down.value)
        return x + (gate(x).softmax(-1)[..., None] * out).sum(-2)

    net.then(forward)
    net.ledger.fresh(3)
    net.ledger.fresh(5, copies=3)


@step("features", counted=True)
def experts_by_bmm(net: Net) -> None:
    up, down = net.held(3, net.width, 5), net.held(3, 5, net.width)

    def forward(x):
        hidden = torch.bmm(x.expand(3, -1, -1), up.value).relu()
        return x + torch.baddbmm(hidden.new_zeros(1), hidden, down.value).sum(0)

    net.then(forward)
    net.ledger.fresh(3)
    net.ledger.fresh(5, copies=3)


@step("tokens", counted=True)
def across_positions(net: Net) -> None:
    up, down = net.part(nn.Linear(net.positions, 5)), net.part(nn.Linear(5, net.positions))
    net.then(lambda x: x + down(up(x.transpose(1, 2)).relu()).transpose(1, 2))
    net.ledger.fresh(5)


@step(*SPATIAL, counted=True)
def dilated(net: Net) -> None:
    kind, width = CONVOLUTIONS[net.layout], net.draw.choice(WIDTHS)
    net.then(net.part(kind(net.width, width, 3, padding=2, dilation=2)), width)
    net.ledger.stream = (net.ledger.fresh(width),)


@step(*SPATIAL, counted=True)
def transposed(net: Net) -> None:
    width = net.draw.choice(WIDTHS)
    net.then(net.part(TRANSPOSED[net.layout](net.width, width, 3, padding=1)), width)
    net.ledger.stream = (net.ledger.fresh(width),)


@step(*SPATIAL, counted=True)
def depthwise(net: Net) -> None:
    net.then(net.layer(net.width, net.width, groups=net.width))


@step(*SPATIAL, counted=True)
def separable(net: Net) -> None:
    part, kernel = net.layer(net.width, net.width, groups=net.width), net.layer(net.width, 6)
    net.then(lambda x: kernel(part(x).relu()), 6)
    net.ledger.stream = (net.ledger.fresh(6),)


@step(*SPATIAL)
def grouped(net: Net) -> None:
    groups = net.draw.choice([g for g in (2, 3, net.width) if net.width % g == 0] or [1])
    width = groups * net.draw.choice((2, 3))
    net.then(net.layer(net.width, width, groups), width)


@step(*SPATIAL)
def grouped_transposed(net: Net) -> None:
    groups = 2 if net.width % 2 == 0 else 1
    kind = TRANSPOSED[net.layout]
    part = kind(net.width, 3 * groups, 3, padding=1, groups=groups)
    net.then(net.part(part), 3 * groups)


@step(*SPATIAL, counted=True)
def grouped_bottleneck(net: Net) -> None:
    reduce, grow = net.layer(net.width, 6), net.layer(6, net.width)
    middle = net.layer(6, 6, groups=2, kernel=3)
    net.then(lambda x: x + grow(middle(reduce(x).relu()).relu()))
    net.ledger.fresh(2)
    net.ledger.fresh(3, copies=2)
    net.ledger.fresh(3, copies=2)


@step(*SPATIAL)
def grouped_and_shuffled(net: Net) -> None:
    """ShuffleNetV1: 1×1 in groups, a shuffle, depthwise, 1×1 in groups; added or joined.

    Where a group's channels do not divide by the groups, some groups get more of them.
    """
    groups = net.draw.choice([g for g in (2, 3) if net.width % g == 0] or [1])
    middle = groups * net.draw.choice((2, 3, 4))
    up, down = (
        net.layer(*sizes, groups=groups, kernel=1)
        for sizes in ((net.width, middle), (middle, net.width))
    )
    depth, joined = net.layer(middle, middle, groups=middle), net.draw.random() < 0.3

    def forward(x):
        dealt = up(x).relu().unflatten(1, (groups, -1)).transpose(1, 2).flatten(1, 2)
        y = down(depth(dealt))
        return torch.cat([x, y], 1) if joined else (x + y).tanh()

    net.then(forward, net.width * (1 + joined))


@step("image")
def unfolded(net: Net) -> None:
    weight = net.held(6, net.width * 4)
    height, width = net.space

    def forward(x):
        columns = weight.value @ F.unfold(F.pad(x, (0, 1, 0, 1)), 2)
        return columns.reshape(x.shape[0], 6, height, width)

    net.then(forward, 6)
