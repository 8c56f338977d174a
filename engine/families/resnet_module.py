"""CIFAR ResNet: a 3×3 stem, stages of two-convolution blocks, global average, one linear layer.

He et al. 2016, section 4.2, with the shortcuts A (zero channels), B (1×1 convolution) and
3×3 convolution.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from engine.families.pieces import ACTIVATIONS, make_norm, zero_pad_channels


def make_conv(entry: Mapping[str, Any]) -> nn.Conv2d:
    """Build the convolution of an entry `{"in", "out", "kernel", "stride", "bias"}`."""
    kernel = entry["kernel"]
    return nn.Conv2d(
        entry["in"], entry["out"], kernel, entry["stride"], kernel // 2, bias=entry["bias"]
    )


class Block(nn.Module):
    """conv1, norm1, activation, conv2, norm2, plus the shortcut, activation.

    The entry holds `conv1`, `conv2`, `norm1`, `norm2` and `shortcut`: None for the identity,
    `{"pad": [before, after], "stride"}` for option A, else `{"conv", "norm"}`.
    """

    def __init__(self, entry: Mapping[str, Any], activation: str) -> None:
        super().__init__()
        self.conv1, self.norm1 = make_conv(entry["conv1"]), make_norm(entry["norm1"], image=True)
        self.conv2, self.norm2 = make_conv(entry["conv2"]), make_norm(entry["norm2"], image=True)
        self.activation = ACTIVATIONS[activation]()
        shortcut = entry["shortcut"] or {"pad": [0, 0], "stride": 1}
        projected = "conv" in shortcut
        self.pad, self.stride = (None, 1) if projected else (shortcut["pad"], shortcut["stride"])
        if projected:
            self.shortcut_conv = make_conv(shortcut["conv"])
            self.shortcut_norm = make_norm(shortcut["norm"], image=True)

    def forward(self, x: Tensor) -> Tensor:
        out = self.activation(self.norm1(self.conv1(x)))
        out = self.norm2(self.conv2(out))
        return self.activation(out + self.skip(x))

    def skip(self, x: Tensor) -> Tensor:
        if self.pad is None:
            return self.shortcut_norm(self.shortcut_conv(x))
        if self.stride > 1:
            x = x[:, :, :: self.stride, :: self.stride]
        return zero_pad_channels(x, *self.pad)


class ResNet(nn.Module):
    """Built from a config: `stem`, `stages` (lists of block entries), `head`, `activation`."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        activation, head = config["activation"], config["head"]
        self.stem_conv = make_conv(config["stem"]["conv"])
        self.stem_norm = make_norm(config["stem"]["norm"], image=True)
        self.activation = ACTIVATIONS[activation]()
        self.stages = nn.ModuleList(
            nn.Sequential(*(Block(entry, activation) for entry in stage))
            for stage in config["stages"]
        )
        self.head = nn.Linear(head["in"], head["out"], bias=head["bias"])

    def forward(self, x: Tensor) -> Tensor:
        x = self.activation(self.stem_norm(self.stem_conv(x)))
        for stage in self.stages:
            x = stage(x)
        return self.head(x.mean((2, 3)))
