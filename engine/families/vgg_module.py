"""VGG: a chain of convolutions with max-pooling between, then linear layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from engine.families.mlp_module import LinearStack
from engine.families.pieces import ACTIVATIONS, make_norm, pool_to


class VGG(nn.Module):
    """Built from a config: `convolutions`, `final_pool`, `head_size`, `head`, `activation`.

    A convolution's entry is `{"in", "out", "kernel", "bias", "norm", "pool"}`; `pool` says
    whether 2×2 max-pooling follows. `final_pool` is "max", "average" or "none".
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        entries = config["convolutions"]
        self.conv = nn.ModuleList(
            nn.Conv2d(e["in"], e["out"], e["kernel"], padding=e["kernel"] // 2, bias=e["bias"])
            for e in entries
        )
        self.norm = nn.ModuleList(make_norm(entry["norm"], image=True) for entry in entries)
        self.activation = ACTIVATIONS[config["activation"]]()
        self.pooled = tuple(entry["pool"] for entry in entries)
        self.final_pool = config["final_pool"]
        self.head_size = config["head_size"]
        self.head = LinearStack(config["head"], config["activation"])

    def forward(self, x: Tensor) -> Tensor:
        for conv, norm, pooled in zip(self.conv, self.norm, self.pooled, strict=True):
            x = self.activation(norm(conv(x)))
            if pooled:
                x = F.max_pool2d(x, 2)
        if self.final_pool == "max":
            x = F.max_pool2d(x, 2)
        return self.head(pool_to(x, self.head_size).flatten(1))
