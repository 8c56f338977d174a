"""What a random network is made of: steps in a row over a stream of one of five layouts."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from math import prod

import torch
from torch import Tensor, nn

from tests.symmetry.grammar.ledger import Ledger

SPACES = {"features": (), "tokens": (4,), "line": (5,), "image": (4, 4), "volume": (2, 3, 2)}
"""Layout → the positions of a sample; of tokens, [batch, positions, channels]."""

LAYOUTS = tuple(SPACES)
SPATIAL = ("line", "image", "volume")
FLAT = ("features", "tokens")
CONVOLUTIONS = {"line": nn.Conv1d, "image": nn.Conv2d, "volume": nn.Conv3d}
VOCABULARY = 7


class Held(nn.Module):
    """One parameter, or one constant: a buffer that no state dict holds."""

    value: Tensor

    def __init__(self, value: Tensor, trained: bool = True) -> None:
        super().__init__()
        if trained:
            self.value = nn.Parameter(value)
        else:
            self.register_buffer("value", value, persistent=False)


class Net(nn.Module):
    """A network while and after it is built; steps call `part`, `held` and `then`."""

    def __init__(self, layout: str, draw: random.Random) -> None:
        super().__init__()
        self.draw = draw
        self.parts = nn.ModuleList()
        self.steps: list[Callable[[Tensor], Tensor]] = []
        self.names: list[str] = []
        self.ledger = Ledger()
        self.layout, self.space, self.width = layout, SPACES[layout], 0

    def forward(self, x: Tensor) -> Tensor:
        for step in self.steps:
            x = step(x)
        return x

    # --- for the steps -----------------------------------------------------------------

    @property
    def axis(self) -> int:
        """The dimension of the channels."""
        return -1 if self.layout in FLAT else 1

    @property
    def positions(self) -> int:
        """The number of positions of a sample."""
        return prod(self.space)

    def part(self, module: nn.Module) -> nn.Module:
        """Own a module."""
        self.parts.append(module)
        return module

    def held(self, *shape: int) -> Held:
        """Own a parameter of a shape."""
        held = Held(torch.zeros(shape))
        self.parts.append(held)
        return held

    def constant(self, value: Tensor) -> Held:
        """Own a buffer whose values stay as they are."""
        held = Held(value, trained=False)
        self.parts.append(held)
        return held

    def along(self, held: Held) -> Callable[[], Tensor]:
        """Return a vector so shaped that it stands along the channels."""
        extra = [1] * len(self.space) if self.axis == 1 else []
        return lambda: held.value.reshape(-1, *extra)

    def then(self, step: Callable[[Tensor], Tensor], width: int | None = None) -> None:
        """Put a step behind the others; it may change the number of channels."""
        self.steps.append(step)
        self.width = width or self.width

    def layer(self, inside: int, outside: int, groups: int = 1, kernel: int = 0) -> nn.Module:
        """Own a linear layer or a convolution, whichever the layout asks for."""
        bias = self.draw.random() < 0.7
        if self.layout in FLAT:
            return self.part(nn.Linear(inside, outside, bias=bias))
        kernel = kernel or self.draw.choice((1, 3))
        kind = CONVOLUTIONS[self.layout]
        return self.part(
            kind(inside, outside, kernel, padding=kernel // 2, groups=groups, bias=bias)
        )

    def becomes(self, layout: str, space: Sequence[int]) -> None:
        """Note that the stream has another layout from here on."""
        self.layout, self.space = layout, tuple(space)


Step = Callable[[Net], None]

STEPS: dict[str, list[Step]] = {layout: [] for layout in LAYOUTS}
"""Layout → the steps that take it."""

COUNTED: set[Step] = set()
"""Steps that keep the ledger."""


def step(*layouts: str, counted: bool = False) -> Callable[[Step], Step]:
    """Enter a step of the grammar; without `counted` it ends the count of groups."""

    def enter(function: Step) -> Step:
        for layout in layouts or LAYOUTS:
            STEPS[layout].append(function)
        if counted:
            COUNTED.add(function)
        return function

    return enter


def take(net: Net, function: Step) -> None:
    """Put one step of the grammar into a network."""
    if function not in COUNTED:
        net.ledger.known = False
    net.names.append(function.__name__)
    function(net)
