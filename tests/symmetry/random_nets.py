"""Random networks drawn from the grammar, for the law that the proof holds on all of them."""

from __future__ import annotations

import random

import torch
from torch import Tensor, nn

from tests.symmetry.grammar import attention, elements, joins, layers, views
from tests.symmetry.grammar.net import COUNTED, LAYOUTS, SPACES, STEPS, VOCABULARY, Net, take

FAMILIES = (layers, elements, joins, views, attention)
"""Importing them fills `STEPS`."""

BATCH = 7
DEPTH = 5


def random_net(seed: int) -> Net:
    """Return a random network in eval mode; every third has only steps that are counted."""
    draw = random.Random(seed)
    layout = draw.choice((*LAYOUTS, "tokens", "ids"))
    net = Net("tokens" if layout == "ids" else layout, draw)
    table = _begin(net, layout)
    for _ in range(draw.randint(2, DEPTH)):
        choices = STEPS[net.layout]
        if seed % 3 == 0:
            choices = [step for step in choices if step in COUNTED]
        take(net, draw.choice(choices))
    _end(net, table)
    _fill(net, seed)
    return net.eval()


def example(net: Net, batch: int = BATCH) -> Tensor:
    """Return a batch of inputs that fits a network."""
    generator = torch.Generator().manual_seed(batch)
    if net.names[0] == "ids":
        return torch.randint(0, VOCABULARY, (batch, 4), generator=generator)
    shape = SPACES[net.names[0]]
    if net.names[0] == "tokens":
        return torch.randn(batch, *shape, 3, generator=generator)
    return torch.randn(batch, 3, *shape, generator=generator)


def _begin(net: Net, layout: str) -> nn.Module | None:
    net.names.append(layout)
    net.width = 3
    width = net.draw.choice((4, 6, 8))
    table = net.part(nn.Embedding(VOCABULARY, width)) if layout == "ids" else None
    net.then(table or net.layer(3, width), width)
    net.ledger.stream = (net.ledger.fresh(width),)
    return table


def _end(net: Net, table: nn.Module | None) -> None:
    """A last layer on features; for token ids it may be the table of the input."""
    if net.layout == "tokens" and table is not None and net.draw.random() < 0.7:
        if net.width != table.embedding_dim:
            back = net.layer(net.width, table.embedding_dim)
            net.then(back, table.embedding_dim)
            net.ledger.stream = (net.ledger.fresh(table.embedding_dim),)
        net.ledger.tie(net.ledger.stream, (0,))
        net.then(lambda x: x @ table.weight.t())
        return
    if net.layout != "features":
        take(net, views.to_features)
    net.then(net.layer(net.width, 3), 3)


def _fill(net: Net, seed: int) -> None:
    """Draw all parameters and statistics, so that nothing is zero, one or equal."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in net.state_dict().items():
        if tensor.is_floating_point():
            fan = max(tensor[0].numel(), 1) if tensor.dim() > 1 else 2
            values = torch.randn(tensor.shape, generator=generator) / fan**0.5
            tensor.copy_(values.abs() + 0.5 if name.endswith("running_var") else values)
