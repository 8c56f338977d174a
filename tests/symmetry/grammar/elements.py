"""Steps on each element, and normalisations."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from tests.symmetry.grammar.net import SPATIAL, Net, step

ACTIVATIONS = (
    *(F.relu, F.gelu, torch.tanh, F.silu, torch.cos, F.hardswish, F.elu, F.softplus),
    *(F.leaky_relu, F.mish, F.relu6, torch.abs, torch.erf, F.hardsigmoid),
    *(lambda x: x.clamp(-1, 0.5), lambda x: x.square() + 1, lambda x: x.sigmoid()),
    *(lambda x: torch.where(x > 0, x, 0.1 * x), lambda x: x.masked_fill(x < 0, 0.3)),
    *(lambda x: torch.maximum(x, -0.5 * x), lambda x: x / (1 + x.abs()), lambda x: 2 - x),
)


@step(counted=True)
def activation(net: Net) -> None:
    net.then(net.draw.choice(ACTIVATIONS))


@step(counted=True)
def scale_and_shift(net: Net) -> None:
    scale, shift = net.along(net.held(net.width)), net.along(net.held(net.width))
    net.then(lambda x: torch.addcmul(shift(), x, scale()))


@step(counted=True)
def scalar(net: Net) -> None:
    value = net.held()
    net.then(lambda x: x * (1 + value.value.exp()))


@step(counted=True)
def slope_per_channel(net: Net) -> None:
    if net.layout == "tokens":  # prelu takes dimension 1 for the channels
        return
    net.then(net.part(nn.PReLU(net.width)))


@step(counted=True)
def same_constant(net: Net) -> None:
    ones = net.along(net.constant(torch.full((net.width,), 1.5)))
    net.then(lambda x: x * ones())


@step(counted=True)
def constant_that_differs(net: Net) -> None:
    values = net.along(net.constant(1 + torch.arange(net.width) / net.width))
    net.then(lambda x: x * values())
    net.ledger.fix(net.ledger.stream)


@step(counted=True)
def numbered(net: Net) -> None:
    shape = (-1, *[1] * len(net.space)) if net.axis == 1 else (-1,)
    net.then(lambda x: x + torch.arange(x.shape[net_axis(x, shape)]).reshape(shape))
    net.ledger.fix(net.ledger.stream)


def net_axis(x: torch.Tensor, shape: tuple[int, ...]) -> int:
    return x.dim() - len(shape)


@step(counted=True)
def softmax(net: Net) -> None:
    axis = net.axis
    net.then(lambda x: 3 * x.softmax(axis) + x)


@step(counted=True)
def excite(net: Net) -> None:
    squeeze = net.layer(net.width, 3, kernel=1)
    rise = net.layer(3, net.width, kernel=1)
    places = tuple(range(2, 2 + len(net.space))) if net.axis == 1 else (1,)
    pooled = bool(net.space)
    net.then(lambda x: x * rise(squeeze(x.mean(places, True) if pooled else x).relu()).sigmoid())
    net.ledger.fresh(3)


@step(counted=True)
def gated(net: Net) -> None:
    """Gate and value from one layer, cut in halves."""
    both = net.layer(net.width, 8)
    axis, silu = net.axis, net.draw.random() < 0.5

    def forward(x):
        gate, value = both(x).chunk(2, axis)
        return F.silu(gate) * value if silu else F.glu(torch.cat([gate, value], axis), axis)

    net.then(forward, 4)
    net.ledger.stream = (net.ledger.fresh(4),)
    net.ledger.stand_twice(net.ledger.stream)


@step(counted=True)
def centred(net: Net) -> None:
    axis, way = net.axis, net.draw.choice(("mean", "amax", "logsumexp", "norm", "std"))
    if way == "norm":
        net.then(lambda x: x / (1 + x.norm(dim=axis, keepdim=True)))
    elif way == "std":
        net.then(lambda x: x / (1 + x.std(axis, keepdim=True)))
    else:
        net.then(lambda x: x - getattr(x, way)(axis, keepdim=True))


@step(counted=True)
def norm(net: Net) -> None:
    affine = net.draw.random() < 0.7
    if net.layout == "tokens":
        way = net.draw.choice((nn.LayerNorm, nn.RMSNorm))
        net.then(net.part(way(net.width, elementwise_affine=affine)))
        return
    kinds = {"features": nn.BatchNorm1d, "line": nn.BatchNorm1d, "image": nn.BatchNorm2d}
    batch = kinds.get(net.layout, nn.BatchNorm3d)(net.width, affine=affine)
    part = net.draw.choice((batch, nn.GroupNorm(1, net.width, affine=affine)))
    net.then(net.part(part))


@step(counted=True)
def norm_over_channels_last(net: Net) -> None:
    part, axis = net.part(nn.LayerNorm(net.width)), net.axis
    net.then(lambda x: part(x.movedim(axis, -1)).movedim(-1, axis))


@step(counted=True)
def one_norm_twice(net: Net) -> None:
    part, axis = net.part(nn.LayerNorm(net.width)), net.axis
    layer = net.layer(net.width, net.width)

    def normed(x):
        return part(x.movedim(axis, -1)).movedim(-1, axis)

    net.then(lambda x: normed(x + layer(normed(x)).relu()))


@step("tokens")
def norm_over_all(net: Net) -> None:
    net.then(net.part(nn.LayerNorm((net.positions, net.width))))


@step("features", *SPATIAL)
def group_norm(net: Net) -> None:
    groups = net.draw.choice([g for g in (2, 3, net.width) if net.width % g == 0] or [1])
    part = net.part(nn.GroupNorm(groups, net.width, affine=net.draw.random() < 0.6))
    net.then(lambda x: part(x) + x.relu())  # of one value each, it makes zeros of all


@step(*SPATIAL, counted=True)
def instance_norm(net: Net) -> None:
    kind = {"line": nn.InstanceNorm1d, "image": nn.InstanceNorm2d}.get(
        net.layout, nn.InstanceNorm3d
    )
    tracked = net.draw.random() < 0.5
    part = net.part(kind(net.width, affine=True, track_running_stats=tracked))
    net.then(lambda x: part(x).relu())  # its mean is the shift, whatever the input
