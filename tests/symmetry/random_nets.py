"""Random networks drawn from a small grammar of ops, for the law that the proof holds."""

from __future__ import annotations

import random

import torch
from torch import Tensor, nn
from torch.nn import functional as F

ACTIVATIONS = (F.relu, F.gelu, torch.tanh, F.silu, torch.cos, F.hardswish)


class Norm(nn.Module):
    """A normalisation of channels, of an image or of features."""

    def __init__(self, kind: str, channels: int) -> None:
        super().__init__()
        self.kind = kind
        if kind == "layer":
            self.norm = nn.LayerNorm(channels)
        elif kind == "group":
            self.norm = nn.GroupNorm(2 if channels % 2 == 0 else 1, channels)
        else:
            self.norm = nn.BatchNorm1d(channels) if kind == "flat" else nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x.movedim(1, -1)).movedim(-1, 1) if self.kind == "layer" else self.norm(x)


class RandomNet(nn.Module):
    """`depth` random steps over an image, a flatten, steps over features, a last layer."""

    def __init__(self, seed: int, depth: int = 3) -> None:
        super().__init__()
        self.draw = random.Random(seed)
        self.parts = nn.ModuleList()
        self.steps: list = []
        self.channels = [2]
        self.image = True
        self.grow()
        for _ in range(depth):
            self.draw.choice(self.choices())()
        self.flatten()
        for _ in range(depth // 2):
            self.draw.choice(self.choices())()
        self.layer(3)

    def forward(self, x: Tensor) -> Tensor:
        for step in self.steps:
            x = step(x)
        return x

    # --- building ----------------------------------------------------------------------

    @property
    def width(self) -> int:
        return self.channels[-1]

    def choices(self) -> list:
        common = [self.grow, self.act, self.norm, self.residual, self.branches, self.halves]
        common += [self.gate, self.twice, self.crop, self.scale, self.mix, self.heads]
        return common + ([self.grouped, self.pool, self.pad] if self.image else [])

    def make(self, inside: int, outside: int, groups: int = 1) -> nn.Module:
        if not self.image:
            part: nn.Module = nn.Linear(inside, outside)
        else:
            kernel = self.draw.choice((1, 3))
            part = nn.Conv2d(inside, outside, kernel, padding=kernel // 2, groups=groups)
        self.parts.append(part)
        return part

    def layer(self, outside: int) -> None:
        self.steps.append(self.make(self.width, outside))
        self.channels.append(outside)

    def grow(self) -> None:
        self.layer(self.draw.choice((4, 6, 8)))

    def act(self) -> None:
        self.steps.append(self.draw.choice(ACTIVATIONS))

    def norm(self) -> None:
        kinds = ("batch", "layer", "group") if self.image else ("flat", "layer", "group")
        part = Norm(self.draw.choice(kinds), self.width)
        self.parts.append(part)
        self.steps.append(part)

    def residual(self) -> None:
        inside = self.draw.choice((3, 4))
        up, down = self.make(self.width, inside), self.make(inside, self.width)
        act = self.draw.choice(ACTIVATIONS)
        self.steps.append(lambda x: x + down(act(up(x))))

    def branches(self) -> None:
        widths = [self.draw.choice((2, 3, 4)) for _ in range(2)]
        left, right = (self.make(self.width, width) for width in widths)
        keep = self.draw.random() < 0.5
        self.steps.append(lambda x: torch.cat([left(x), right(x), *([x] if keep else [])], 1))
        self.channels.append(sum(widths) + (self.width if keep else 0))

    def halves(self) -> None:
        if self.width % 2:
            return
        way = self.draw.choice(("swap", "add", "glu"))
        if way == "swap":
            self.steps.append(lambda x: torch.cat(x.chunk(2, 1)[::-1], 1))
            return
        add = way == "add"
        self.steps.append(lambda x: sum(x.chunk(2, 1)) if add else F.glu(x, 1))
        self.channels.append(self.width // 2)

    def gate(self) -> None:
        image = self.image
        part = self.make(self.width, self.width)
        self.steps.append(
            lambda x: x * part(x.mean((2, 3), keepdim=True) if image else x).sigmoid()
        )

    def twice(self) -> None:
        part = self.make(self.width, self.width)
        self.steps.append(lambda x: part(part(x).relu()))

    def crop(self) -> None:
        if self.width < 4:
            return
        start = self.draw.choice((0, 1))
        size = self.width - 1 - self.draw.choice((0, 1))
        self.steps.append(lambda x: x[:, start : start + size])
        self.channels.append(len(range(self.width)[start : start + size]))

    def scale(self) -> None:
        shape = (self.width, 1, 1) if self.image else (self.width,)
        part = nn.ParameterList([nn.Parameter(torch.ones(shape))])
        self.parts.append(part)
        self.steps.append(lambda x: x * part[0])

    def mix(self) -> None:
        self.steps.append(self.draw.choice((lambda x: x.softmax(1), lambda x: x - x.amax(1, True))))

    def heads(self) -> None:
        if self.width % 2:
            return
        self.steps.append(lambda x: x.unflatten(1, (2, -1)).transpose(1, 2).flatten(1, 2))

    def grouped(self) -> None:
        groups = self.draw.choice([g for g in (2, self.width) if self.width % g == 0])
        self.steps.append(self.make(self.width, self.width, groups))

    def pool(self) -> None:
        self.steps.append(
            self.draw.choice(
                (
                    lambda x: F.max_pool2d(x, 3, 1, 1),
                    lambda x: F.avg_pool2d(x, 3, 1, 1),
                    lambda x: F.interpolate(F.adaptive_avg_pool2d(x, 2), size=(4, 4)),
                )
            )
        )

    def pad(self) -> None:
        self.steps.append(lambda x: F.pad(x, (0, 0, 0, 0, 1, 2)))
        self.channels.append(self.width + 3)

    def flatten(self) -> None:
        way = self.draw.choice(("rows", "last", "mean"))
        if way == "rows":
            self.steps.append(lambda x: x.flatten(1))
        elif way == "last":
            self.steps.append(lambda x: x.permute(0, 2, 3, 1).reshape(x.shape[0], -1))
        else:
            self.steps.append(lambda x: x.mean((2, 3)))
        self.channels.append(self.width * (1 if way == "mean" else 16))
        self.image = False


def random_net(seed: int) -> nn.Module:
    """Return a random network in eval mode whose parameters and statistics are random."""
    module = RandomNet(seed).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            if tensor.is_floating_point():
                fan = max(tensor[0].numel(), 1) if tensor.dim() > 1 else 4
                values = torch.randn(tensor.shape, generator=generator) / fan**0.5
                tensor.copy_(values.abs() + 0.5 if name.endswith("running_var") else values)
    return module
