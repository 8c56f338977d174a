"""One architecture of the zoo: how to build it, its example inputs, what is known of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Architecture:
    """A small network of a family that people use."""

    name: str
    family: str
    build: Callable[[], nn.Module]
    inputs: Callable[[], tuple[Tensor, ...]]
    groups: tuple[int, ...] | None = None
    """Sizes of the groups, derived by hand from the architecture; None where nobody did."""

    def __str__(self) -> str:
        return self.name

    def module(self, seed: int = 0) -> nn.Module:
        """Return a fresh module in eval mode in which no parameter is silent.

        Scales start away from zero and statistics away from (0, 1), so that a symmetry that
        holds for a fresh model only would not pass.
        """
        torch.manual_seed(seed)
        module = self.build().eval()
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for name, tensor in (*module.named_parameters(), *module.named_buffers()):
                if tensor.is_floating_point() and tensor.numel():
                    drawn = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
                    tensor.copy_(_spread(name, tensor.double(), drawn))
        return module


def _spread(name: str, tensor: Tensor, drawn: Tensor) -> Tensor:
    """Return values that are far from every special one, of a size that signals survive."""
    if name.endswith("running_var"):
        return tensor + drawn.abs() / 4
    if tensor.dim() < 2:
        return tensor + drawn / 8
    if bool((tensor == tensor.flatten()[0]).all()):  # gains of one, scales of nearly zero
        return 1 + drawn / 8
    fan = tensor[0].numel()
    return drawn * (2 / fan) ** 0.5


def image(channels: int, size: int, *more: int) -> Callable[[], tuple[Tensor, ...]]:
    """Return a maker of two random images of channels × size × size (× further dimensions)."""
    return lambda: (torch.randn(2, channels, size, *(more or (size,)), generator=_generator()),)


def features(*shape: int) -> Callable[[], tuple[Tensor, ...]]:
    """Return a maker of two random samples of a shape."""
    return lambda: (torch.randn(2, *shape, generator=_generator()),)


def tokens(vocabulary: int, length: int, *more: int) -> Callable[[], tuple[Tensor, ...]]:
    """Return a maker of two token sequences, and of one more per further length."""
    return lambda: tuple(
        torch.randint(0, vocabulary, (2, n), generator=_generator()) for n in (length, *more)
    )


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(7)
