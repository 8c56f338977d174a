"""Steps that see the stream in other shapes, or that mix its positions."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from tests.symmetry.grammar.net import SPATIAL, Net, step


def last(net: Net):
    """Return functions that bring the channels to the end and back."""
    axis = net.axis
    return (lambda x: x.movedim(axis, -1)), (lambda x: x.movedim(-1, axis))


@step()
def shuffled(net: Net) -> None:
    if net.width % 2:
        return
    away, back = last(net)
    outer = net.draw.choice((2, net.width // 2))
    net.then(lambda x: back(away(x).unflatten(-1, (outer, -1)).transpose(-1, -2).flatten(-2)))


@step()
def two_divisions(net: Net) -> None:
    """One stream seen as 2 × n and as n × 2."""
    if net.width % 2:
        return
    away, back = last(net)
    half = net.width // 2
    scale, shift = net.held(2, 1), net.held(half, 1)

    def forward(x):
        left = (away(x).unflatten(-1, (2, half)) * scale.value).flatten(-2)
        return back(left + (away(x).unflatten(-1, (half, 2)) * shift.value).flatten(-2))

    net.then(forward)


@step()
def scaled_per_stretch(net: Net) -> None:
    if net.width % 2:
        return
    away, back = last(net)
    outer = net.draw.random() < 0.5
    scale = net.held(2, 1) if outer else net.held(net.width // 2)
    net.then(lambda x: back((away(x).unflatten(-1, (2, -1)) * scale.value).flatten(-2)))


@step()
def summed_per_stretch(net: Net) -> None:
    if net.width % 2:
        return
    away, back = last(net)
    half, dim = net.width // 2, net.draw.choice((-1, -2))
    width = 2 if dim == -1 else half
    net.then(lambda x: back(away(x).unflatten(-1, (2, half)).sum(dim)), width)


@step()
def softmax_per_stretch(net: Net) -> None:
    if net.width % 2:
        return
    away, back = last(net)
    dim = net.draw.choice((-1, -2))
    net.then(lambda x: x + back(3 * away(x).unflatten(-1, (2, -1)).softmax(dim).flatten(-2)))


@step()
def repeated(net: Net) -> None:
    away, back = last(net)
    layer = net.layer(2 * net.width, 4)
    if net.draw.random() < 0.5:
        net.then(lambda x: layer(back(away(x).repeat_interleave(2, -1))), 4)
    else:
        copies = [1] * (len(net.space) + 1)
        net.then(lambda x: layer(back(away(x).repeat(*copies, 2))), 4)


@step("image")
def pixels_shuffled(net: Net) -> None:
    grow, height = net.layer(net.width, 4 * net.width), net.space[0]
    if height % 2:
        return
    if net.draw.random() < 0.5:
        net.then(lambda x: F.avg_pool2d(F.pixel_shuffle(grow(x), 2), 2))
        return
    down = net.layer(4 * net.width, 4)
    net.then(lambda x: F.interpolate(down(F.pixel_unshuffle(x, 2)), scale_factor=2.0), 4)


@step("image", counted=True)
def pooled(net: Net) -> None:
    size = net.space
    net.then(
        net.draw.choice(
            (
                lambda x: F.max_pool2d(x, 3, 1, 1),
                lambda x: F.avg_pool2d(x, 3, 1, 1),
                lambda x: F.interpolate(F.adaptive_avg_pool2d(x, 2), size=size),
                lambda x: F.interpolate(F.avg_pool2d(x, 2), size=size, mode="bilinear"),
                lambda x: F.interpolate(F.adaptive_max_pool2d(x, 2), size=size, mode="bicubic"),
                lambda x: F.pad(x, (1, 1, 1, 1), mode="reflect")[:, :, 2:, 2:] - x,
                lambda x: F.pad(x, (1, 0, 1, 0))[:, :, :-1, :-1] + x,
            )
        )
    )


@step("line", counted=True)
def pooled_line(net: Net) -> None:
    size = net.space
    net.then(
        net.draw.choice(
            (
                lambda x: F.max_pool1d(x, 3, 1, 1),
                lambda x: F.avg_pool1d(x, 3, 1, 1),
                lambda x: F.interpolate(F.adaptive_avg_pool1d(x, 2), size=size),
                lambda x: F.interpolate(x, size=size, mode="linear"),
                lambda x: F.pad(x, (1, 1), mode="circular")[:, :, 2:] - x,
            )
        )
    )


@step("volume", counted=True)
def pooled_volume(net: Net) -> None:
    size = net.space
    net.then(
        net.draw.choice(
            (
                lambda x: F.max_pool3d(x, (1, 3, 1), 1, (0, 1, 0)),
                lambda x: F.avg_pool3d(x, (1, 3, 1), 1, (0, 1, 0)),
                lambda x: F.interpolate(F.adaptive_avg_pool3d(x, 2), size=size),
                lambda x: F.interpolate(x, size=size, mode="trilinear"),
            )
        )
    )


@step("image", counted=True)
def windows(net: Net) -> None:
    """Windows of 2 × 2 as Swin makes them, averaged, and put back."""
    if net.space != (4, 4):
        return
    width = net.width

    def forward(x):
        parts = x.permute(0, 2, 3, 1).reshape(-1, 2, 2, 2, 2, width).permute(0, 1, 3, 2, 4, 5)
        mixed = parts + parts.mean((3, 4), keepdim=True).tanh()
        whole = mixed.permute(0, 1, 3, 2, 4, 5).reshape(-1, 4, 4, width)
        return whole.permute(0, 3, 1, 2)

    net.then(forward)


@step(*SPATIAL, counted=True)
def to_tokens(net: Net) -> None:
    net.then(lambda x: x.flatten(2).transpose(1, 2))
    net.becomes("tokens", (net.positions,))


@step("tokens", counted=True)
def to_line(net: Net) -> None:
    net.then(lambda x: x.permute(0, 2, 1))
    net.becomes("line", net.space)


@step("tokens", *SPATIAL, counted=True)
def to_features(net: Net) -> None:
    """Positions averaged, weighed by attention, or flattened into a layer."""
    rows, away = net.positions * net.width, last(net)[0]
    way = net.draw.choice(("mean", "rows", "last", "weighed"))
    places = tuple(range(2, 2 + len(net.space))) if net.axis == 1 else (1,)
    if way == "mean":
        net.then(lambda x: x.mean(places))
    elif way == "weighed":
        query = net.held(net.width)
        net.then(lambda x: pooled_by(away(x).flatten(1, -2), query.value))
    else:
        net.then((lambda x: x.flatten(1)) if way == "rows" else lambda x: away(x).flatten(1))
    net.becomes("features", ())
    if way in ("rows", "last"):
        net.then(net.layer(rows, 6), 6)
        net.ledger.stream = (net.ledger.fresh(6),)


def pooled_by(x: torch.Tensor, query: torch.Tensor) -> torch.Tensor:
    return ((x @ query).softmax(1)[:, None] @ x)[:, 0]
