"""VGG as timm computes it: the first linear layers are convolutions over what is left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F


class ConvolvedVGG(nn.Module):
    """Built from a config: `convolutions` (`{"in", "out", "kernel", "bias", "norm", "pool"}`),
    `eps`, `window` and `hidden` of the first convolved layer, `out` of the second, `head`.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        entries, head = config["convolutions"], config["head"]
        self.convs = nn.ModuleList(
            nn.Conv2d(e["in"], e["out"], e["kernel"], padding=e["kernel"] // 2, bias=e["bias"])
            for e in entries
        )
        self.norms = nn.ModuleList(
            nn.BatchNorm2d(e["out"], eps=config["eps"]) if e["norm"] else nn.Identity()
            for e in entries
        )
        self.pools = tuple(e["pool"] for e in entries)
        self.window = config["window"]
        self.first = nn.Conv2d(entries[-1]["out"], config["hidden"], self.window)
        self.second = nn.Conv2d(config["hidden"], config["out"], 1)
        self.head = nn.Linear(head["in"], head["out"], bias=head["bias"])

    def forward(self, x: Tensor) -> Tensor:
        for conv, norm, pool in zip(self.convs, self.norms, self.pools, strict=True):
            x = F.relu(norm(conv(x)))
            x = F.max_pool2d(x, 2) if pool else x
        if min(x.shape[2:]) < self.window:
            height, width = (max(side, self.window) for side in x.shape[2:])
            x = F.adaptive_avg_pool2d(x, (height, width))
        x = F.relu(self.second(F.relu(self.first(x))))
        return self.head(x.mean((2, 3)))
