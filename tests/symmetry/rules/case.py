"""One tiny network per op: its parameters, its input, its group sizes counted by hand.

Most end with `.relu() @ p.out`, which ties the op's result to a last layer, so that a rule
that ties too little fails the proof and one that ties too much lacks a group.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from tests.symmetry.tiny import Shapes


@dataclass(frozen=True)
class Case:
    """An op in a network of two layers or so."""

    name: str
    function: Callable[..., Tensor]
    shapes: Shapes
    inputs: tuple[int, ...]
    """Shape per sample."""

    sizes: tuple[int, ...]

    def __str__(self) -> str:
        return self.name


FLAT = {"w": (4, 3), "out": (4, 2)}
"""Three features to four hidden units to two outputs."""

IMAGE = {"w": (4, 2, 3, 3), "out": (4, 2)}
"""Two channels to four hidden channels to two outputs."""


def flat(name: str, function: Callable[..., Tensor], *sizes: int, **more: tuple[int, ...]) -> Case:
    """Return a case on hidden features h = x Wᵀ: `function(h, p)` of shape [batch, 4]."""
    return Case(
        name,
        lambda p, x: function(F.linear(x, p.w), p) @ p.out,
        FLAT | more,
        (3,),
        sizes,
    )


def image(name: str, function: Callable[..., Tensor], *sizes: int, **more: tuple[int, ...]) -> Case:
    """Return a case on hidden channels h = conv(x): `function(h, p)` of shape [batch, 4, …]."""
    return Case(
        name,
        lambda p, x: function(F.conv2d(x, p.w), p).flatten(2).mean(2) @ p.out,
        IMAGE | more,
        (2, 6, 6),
        sizes,
    )
