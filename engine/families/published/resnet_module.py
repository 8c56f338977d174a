"""ResNet, Wide ResNet and ResNeXt as torchvision and timm compute them.

He et al. 2016 with the stride on the 3×3 convolution of a bottleneck ("v1.5"), Zagoruyko &
Komodakis 2016, Xie et al. 2017.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

Entry = Mapping[str, Any]


class Block(nn.Module):
    """A residual block of two or three convolutions, each with its BatchNorm.

    The entry is `{"convs": [{"in", "out", "kernel", "stride", "groups"}, …], "shortcut": None |
    {"in", "out", "stride"}}`.
    """

    def __init__(self, entry: Entry, eps: float) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv2d(
                conv["in"],
                conv["out"],
                conv["kernel"],
                conv["stride"],
                conv["kernel"] // 2,
                groups=conv["groups"],
                bias=False,
            )
            for conv in entry["convs"]
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(conv["out"], eps=eps) for conv in entry["convs"])
        shortcut = entry["shortcut"]
        self.projected = shortcut is not None
        if shortcut is not None:
            self.shortcut = nn.Conv2d(
                shortcut["in"], shortcut["out"], 1, shortcut["stride"], bias=False
            )
            self.shortcut_norm = nn.BatchNorm2d(shortcut["out"], eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        out = x
        for i, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            out = F.relu(out) if i else out
            out = norm(conv(out))
        skip = self.shortcut_norm(self.shortcut(x)) if self.projected else x
        return F.relu(out + skip)


class ImageNetResNet(nn.Module):
    """Built from a config: `stem`, `eps`, `blocks`, `head`.

    A stem of kernel 7 has stride 2 and a max-pool behind it; one of kernel 3 has neither.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        stem, head, eps = config["stem"], config["head"], config["eps"]
        self.pooled = stem["kernel"] == 7
        self.stem = nn.Conv2d(
            stem["in"],
            stem["out"],
            stem["kernel"],
            2 if self.pooled else 1,
            stem["kernel"] // 2,
            bias=False,
        )
        self.stem_norm = nn.BatchNorm2d(stem["out"], eps=eps)
        self.blocks = nn.ModuleList(Block(entry, eps) for entry in config["blocks"])
        self.head = nn.Linear(head["in"], head["out"], bias=head["bias"])

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem_norm(self.stem(x)))
        if self.pooled:
            x = F.max_pool2d(x, 3, 2, 1)
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean((2, 3)))
