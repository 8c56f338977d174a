"""ConvNeXt as its authors, torchvision and timm compute it (Liu et al. 2022)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.families.pieces import ChannelNorm


class Block(nn.Module):
    """Depthwise convolution, LayerNorm over channels, two linear layers, layer scale; residual.

    The entry is `{"width", "hidden", "kernel", "scale": shape or None, "pointwise": "linear" |
    "conv"}`; with "conv" the two linear layers are 1×1 convolutions.
    """

    def __init__(self, entry: Mapping[str, Any], eps: float) -> None:
        super().__init__()
        width, hidden, kernel = entry["width"], entry["hidden"], entry["kernel"]
        self.conv = nn.Conv2d(width, width, kernel, padding=kernel // 2, groups=width)
        self.convolved = entry["pointwise"] == "conv"
        if self.convolved:
            self.norm: nn.Module = ChannelNorm(width, eps=eps)
            self.up: nn.Module = nn.Conv2d(width, hidden, 1)
            self.down: nn.Module = nn.Conv2d(hidden, width, 1)
        else:
            self.norm = nn.LayerNorm(width, eps=eps)
            self.up, self.down = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.scaled = entry["scale"] is not None
        if self.scaled:
            self.scale = nn.Parameter(torch.ones(entry["scale"]))

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv(x)
        out = out if self.convolved else out.permute(0, 2, 3, 1)
        out = self.down(F.gelu(self.up(self.norm(out))))
        out = out if self.convolved else out.permute(0, 3, 1, 2)
        return x + (out * self.scale.reshape(1, -1, 1, 1) if self.scaled else out)


class ConvNeXt(nn.Module):
    """Built from a config: `stem`, `eps`, `downs`, `stages` (lists of block entries), `head`."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        stem, head, eps = config["stem"], config["head"], config["eps"]
        self.stem = nn.Conv2d(stem["in"], stem["out"], stem["kernel"], stem["kernel"])
        self.stem_norm = ChannelNorm(stem["out"], eps=eps)
        self.down_norms = nn.ModuleList(ChannelNorm(d["in"], eps=eps) for d in config["downs"])
        self.downs = nn.ModuleList(
            nn.Conv2d(d["in"], d["out"], d["kernel"], d["kernel"]) for d in config["downs"]
        )
        self.stages = nn.ModuleList(
            nn.Sequential(*(Block(entry, eps) for entry in stage)) for stage in config["stages"]
        )
        self.norm = nn.LayerNorm(head["in"], eps=eps)
        self.head = nn.Linear(head["in"], head["out"], bias=head["bias"])

    def forward(self, x: Tensor) -> Tensor:
        x = self.stages[0](self.stem_norm(self.stem(x)))
        for norm, down, stage in zip(self.down_norms, self.downs, self.stages[1:], strict=True):
            x = stage(down(norm(x)))
        return self.head(self.norm(x.mean((2, 3))))
