"""Networks of inverted residuals: MobileNetV2, MobileNetV3, EfficientNet and EfficientNetV2.

Sandler et al. 2018, Howard et al. 2019, Tan & Le 2019 and 2021, as torchvision and timm
compute them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

Entry = Mapping[str, Any]

ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "relu6": F.relu6,
    "silu": F.silu,
    "hardswish": F.hardswish,
}
GATES: Mapping[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": F.sigmoid,
    "hardsigmoid": F.hardsigmoid,
}


class PaddedConv(nn.Conv2d):
    """A convolution that pads like TensorFlow: as little as possible, more behind than before."""

    def forward(self, input: Tensor) -> Tensor:
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        height, width = (
            max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in input.shape[2:]
        )
        pads = (width // 2, width - width // 2, height // 2, height - height // 2)
        return super().forward(F.pad(input, pads))


def make_conv(entry: Entry, same: bool) -> nn.Conv2d:
    """Build the convolution of an entry `{"in", "out", "kernel", "stride", "groups"}`."""
    kind, pad = (PaddedConv, 0) if same else (nn.Conv2d, entry["kernel"] // 2)
    return kind(
        entry["in"],
        entry["out"],
        entry["kernel"],
        entry["stride"],
        pad,
        groups=entry["groups"],
        bias=False,
    )


class Excitation(nn.Module):
    """Squeeze-and-excitation: every channel scaled by a gate that sees all channels' means."""

    def __init__(self, entry: Entry, activation: str, gate: str) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(entry["channels"], entry["reduced"], 1)
        self.expand = nn.Conv2d(entry["reduced"], entry["channels"], 1)
        self.activation, self.gate = ACTIVATIONS[activation], GATES[gate]

    def forward(self, x: Tensor) -> Tensor:
        squeezed = self.activation(self.reduce(x.mean((2, 3), keepdim=True)))
        return x * self.gate(self.expand(squeezed))


class Block(nn.Module):
    """Convolutions with BatchNorm; the last, unless it is alone, has no activation behind it.

    The entry is `{"convs", "activation", "excitation": None | {"channels", "reduced", "after"},
    "skip"}`; the excitation follows the convolution of the number `after`.
    """

    def __init__(self, entry: Entry, config: Entry) -> None:
        super().__init__()
        convs, excitation = entry["convs"], entry["excitation"]
        same = config["padding"] == "same"
        self.convs = nn.ModuleList(make_conv(conv, same) for conv in convs)
        self.norms = nn.ModuleList(nn.BatchNorm2d(c["out"], eps=config["eps"]) for c in convs)
        self.activation, self.skip = ACTIVATIONS[entry["activation"]], entry["skip"]
        self.active = len(convs) - (len(convs) > 1)
        self.excited = -1 if excitation is None else excitation["after"]
        if excitation is not None:
            self.excitation = Excitation(
                excitation, config["excitation_activation"], config["excitation_gate"]
            )

    def forward(self, x: Tensor) -> Tensor:
        out = x
        for i, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            out = norm(conv(out))
            out = self.activation(out) if i < self.active else out
            out = self.excitation(out) if i == self.excited else out
        return x + out if self.skip else out


class MobileNet(nn.Module):
    """Built from a config: `stem`, `blocks`, `last` (a convolution or None), `hidden`, `head`.

    `hidden` is None or a layer between the average and the head: "linear", or "conv" where it is
    a 1×1 convolution.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        same, eps, last = config["padding"] == "same", config["eps"], config["last"]
        head, hidden = config["head"], config["hidden"]
        self.activation = ACTIVATIONS[config["activation"]]
        self.stem = make_conv(config["stem"], same)
        self.stem_norm = nn.BatchNorm2d(config["stem"]["out"], eps=eps)
        self.blocks = nn.ModuleList(Block(entry, config) for entry in config["blocks"])
        self.ends_wide, self.kind = last is not None, hidden["kind"] if hidden else "none"
        if last is not None:
            self.last = make_conv(last, same)
            self.last_norm = nn.BatchNorm2d(last["out"], eps=eps)
        if self.kind == "conv":
            self.hidden: nn.Module = nn.Conv2d(hidden["in"], hidden["out"], 1, bias=hidden["bias"])
        elif self.kind == "linear":
            self.hidden = nn.Linear(hidden["in"], hidden["out"], bias=hidden["bias"])
        self.head = nn.Linear(head["in"], head["out"], bias=head["bias"])

    def forward(self, x: Tensor) -> Tensor:
        x = self.activation(self.stem_norm(self.stem(x)))
        for block in self.blocks:
            x = block(x)
        if self.ends_wide:
            x = self.activation(self.last_norm(self.last(x)))
        x = x.mean((2, 3), keepdim=self.kind == "conv")
        if self.kind != "none":
            x = self.activation(self.hidden(x))
        return self.head(x.flatten(1))
