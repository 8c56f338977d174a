"""DenseNet as torchvision and timm compute it (Huang et al. 2017)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class DenseLayer(nn.Module):
    """norm, ReLU, 1×1 convolution, norm, ReLU, 3×3 convolution: new channels for the stack."""

    def __init__(self, inputs: int, middle: int, growth: int, eps: float) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inputs, eps=eps)
        self.conv1 = nn.Conv2d(inputs, middle, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(middle, eps=eps)
        self.conv2 = nn.Conv2d(middle, growth, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(F.relu(self.norm2(self.conv1(F.relu(self.norm1(x))))))


class DenseBlock(nn.Module):
    """Layers whose outputs are stacked behind their inputs; then, but in the last, a transition."""

    def __init__(self, entry: Mapping[str, Any], eps: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            DenseLayer(layer["in"], layer["middle"], layer["growth"], eps)
            for layer in entry["layers"]
        )
        transition = entry["transition"]
        self.halved = transition is not None
        if transition is not None:
            self.norm = nn.BatchNorm2d(transition["in"], eps=eps)
            self.conv = nn.Conv2d(transition["in"], transition["out"], 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.cat((x, layer(x)), 1)
        return F.avg_pool2d(self.conv(F.relu(self.norm(x))), 2) if self.halved else x


class DenseNet(nn.Module):
    """Built from a config: `stem`, `eps`, `blocks`, `head`.

    A stem of kernel 7 has stride 2 and a max-pool behind its norm; one of kernel 3 has neither.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        stem, head, eps = config["stem"], config["head"], config["eps"]
        kernel, self.pooled = stem["kernel"], stem["kernel"] == 7
        stride = 2 if self.pooled else 1
        self.stem = nn.Conv2d(stem["in"], stem["out"], kernel, stride, kernel // 2, bias=False)
        self.stem_norm = nn.BatchNorm2d(stem["out"], eps=eps)
        self.blocks = nn.ModuleList(DenseBlock(entry, eps) for entry in config["blocks"])
        self.norm = nn.BatchNorm2d(head["in"], eps=eps)
        self.head = nn.Linear(head["in"], head["out"], bias=head["bias"])

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem_norm(self.stem(x)))
        if self.pooled:
            x = F.max_pool2d(x, 3, 2, 1)
        for block in self.blocks:
            x = block(x)
        return self.head(F.relu(self.norm(x)).mean((2, 3)))
