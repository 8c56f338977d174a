"""Multi-layer perceptron: linear layers, an optional norm behind each, one activation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from engine.families.pieces import ACTIVATIONS, make_norm


class LinearStack(nn.Module):
    """Linear layers with an activation between them and none behind the last.

    Args:
        layers: Entries `{"in", "out", "bias", "norm"}`.
        activation: A name in ACTIVATIONS.
        norm_first: Whether a norm comes before the activation of its layer.
    """

    def __init__(
        self, layers: Sequence[Mapping[str, Any]], activation: str, norm_first: bool = True
    ) -> None:
        super().__init__()
        self.linear = nn.ModuleList(nn.Linear(e["in"], e["out"], bias=e["bias"]) for e in layers)
        self.norm = nn.ModuleList(make_norm(entry["norm"], image=False) for entry in layers)
        self.activation = ACTIVATIONS[activation]()
        self.norm_first = norm_first

    def forward(self, x: Tensor) -> Tensor:
        last = len(self.linear) - 1
        for i, (linear, norm) in enumerate(zip(self.linear, self.norm, strict=True)):
            x = linear(x)
            if i == last:
                x = norm(x)
            elif self.norm_first:
                x = self.activation(norm(x))
            else:
                x = norm(self.activation(x))
        return x


class MLP(nn.Module):
    """A `LinearStack` over flattened inputs, with an optional norm in front."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.input_norm = make_norm(config["input_norm"], image=False)
        self.layers = LinearStack(
            config["layers"], config["activation"], config["norm_position"] == "before"
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(self.input_norm(x.flatten(1)))
