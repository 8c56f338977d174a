"""Fresh weights as flax draws them by default, from a generator of one's own.

Every linear and convolution weight is LeCun normal: a normal truncated at two standard
deviations whose variance after truncation is 1 / fan-in. Biases start at 0, norm scales at
1, running statistics at 0 and 1. PyTorch's own default is narrower, and with it Fort's
numbers are not reproduced. Embeddings are normal with GPT-2's standard deviation; a module with
tensors of its own draws them itself in `start(generator)`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from torch import nn

from engine.errors import TrainingError
from engine.training.transformers import EMBEDDING_STD

# Standard deviation of a unit normal truncated at ±2: jax.nn.initializers divides by it.
TRUNCATED_STD = 0.87962566103423978

_TOO_LARGE = ("can't allocate memory", "Storage size calculation overflowed", "not enough memory")


@runtime_checkable
class Starts(Protocol):
    """A module that draws the tensors which stand in itself, not in its parts."""

    def start(self, generator: torch.Generator) -> None:
        """Draw them, in place."""
        ...


def build_fresh(build: Callable[[], nn.Module], generator: torch.Generator) -> nn.Module:
    """Build a module and draw its weights from `generator`; the global RNG is untouched.

    Raises:
        TrainingError: the module has a layer with parameters whose start is not defined, or
            takes more memory than there is.
    """
    try:
        with torch.device("meta"):  # no storage yet, so torch's own initialisation draws nothing
            module = build()
        module.to_empty(device="cpu")
    except RuntimeError as error:
        if not any(words in str(error) for words in _TOO_LARGE):
            raise
        raise TrainingError(
            "The model takes more memory than this machine has; choose a smaller width."
        ) from error
    with torch.no_grad():
        for name, layer in module.named_modules():
            _start(name, layer, generator)
    return module


def _start(name: str, layer: nn.Module, generator: torch.Generator) -> None:
    if isinstance(layer, nn.Linear | nn.Conv2d):
        std = layer.weight[0].numel() ** -0.5 / TRUNCATED_STD
        nn.init.trunc_normal_(layer.weight, 0.0, std, -2 * std, 2 * std, generator=generator)
        if layer.bias is not None:
            layer.bias.zero_()
    elif isinstance(layer, Starts):
        layer.start(generator)
    elif isinstance(layer, nn.Embedding):
        layer.weight.normal_(0.0, EMBEDDING_STD, generator=generator)
    elif isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d | nn.LayerNorm | nn.GroupNorm):
        layer.reset_parameters()
    elif any(True for _ in layer.parameters(recurse=False)):
        raise TrainingError(f"The layer '{name}' ({type(layer).__name__}) has no known start.")
