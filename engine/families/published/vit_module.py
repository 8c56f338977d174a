"""Vision transformer as torchvision and timm compute it (Dosovitskiy et al. 2021; DeiT)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Block(nn.Module):
    """norm, attention, residual; norm, two linear layers, residual."""

    def __init__(self, config: Mapping[str, Any], hidden: int) -> None:
        super().__init__()
        width, eps = config["width"], config["eps"]
        self.heads = config["heads"]
        self.norm1 = nn.LayerNorm(width, eps=eps)
        self.qkv = nn.Linear(width, 3 * width, bias=config["qkv_bias"])
        self.proj = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width, eps=eps)
        self.up, self.down = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.scaled = config["layer_scale"]
        if self.scaled:
            self.scale1 = nn.Parameter(torch.ones(width))
            self.scale2 = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        out = self.attention(self.norm1(x))
        x = x + (out * self.scale1 if self.scaled else out)
        out = self.down(F.gelu(self.up(self.norm2(x))))
        return x + (out * self.scale2 if self.scaled else out)

    def attention(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        split = self.qkv(x).reshape(batch, length, 3, self.heads, width // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4).unbind(0)
        out = F.scaled_dot_product_attention(query, key, value)
        return self.proj(out.transpose(1, 2).reshape(batch, length, width))


class VisionTransformer(nn.Module):
    """Built from a config.

    `patch`, `channels`, `width`, `heads`, `hidden` (one per block), `eps`, `qkv_bias`,
    `layer_scale`, `tokens` (rows of the position table), `class_token`, `position_of_class`,
    `pool` ("class" or "average"), `norm` ("before" or "after" pooling) and `classes`.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        width, patch = config["width"], config["patch"]
        self.patch = nn.Conv2d(config["channels"], width, patch, patch)
        self.position = nn.Parameter(torch.zeros(1, config["tokens"], width))
        self.has_class, self.placed = config["class_token"], config["position_of_class"]
        if self.has_class:
            self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.blocks = nn.ModuleList(Block(config, hidden) for hidden in config["hidden"])
        self.norm = nn.LayerNorm(width, eps=config["eps"])
        self.normed_first, self.pool = config["norm"] == "before", config["pool"]
        self.head = nn.Linear(width, config["classes"])

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2)
        if not self.placed:
            x = x + self.position
        if self.has_class:
            x = torch.cat((self.class_token.expand(x.shape[0], -1, -1), x), 1)
        if self.placed:
            x = x + self.position
        for block in self.blocks:
            x = block(x)
        x = self.norm(x) if self.normed_first else x
        x = x[:, 0] if self.pool == "class" else x[:, int(self.has_class) :].mean(1)
        return self.head(x if self.normed_first else self.norm(x))
