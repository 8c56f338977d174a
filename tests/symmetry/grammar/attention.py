"""Steps of transformers: attention in the forms in which people write it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.symmetry.grammar.net import Net, step

HEADS, SIZE = 2, 4


def heads_of(x: Tensor, heads: int = HEADS) -> Tensor:
    """[batch, positions, heads × size] → [batch, heads, positions, size]."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def joined(x: Tensor) -> Tensor:
    return x.transpose(1, 2).flatten(2)


def projections(net: Net, count: int = 3) -> list[nn.Module]:
    return [net.part(nn.Linear(net.width, HEADS * SIZE)) for _ in range(count)]


def count_heads(net: Net, inner: int = 2) -> None:
    """Heads of their own, with so many head sizes in each."""
    net.ledger.fresh(HEADS)
    for _ in range(inner):
        net.ledger.fresh(SIZE, copies=HEADS)


@step("tokens", counted=True)
def separate(net: Net) -> None:
    q, k, v = projections(net)
    out, causal = net.part(nn.Linear(HEADS * SIZE, net.width)), net.draw.random() < 0.5

    def forward(x):
        parts = (heads_of(part(x)) for part in (q, k, v))
        return x + out(joined(F.scaled_dot_product_attention(*parts, is_causal=causal)))

    net.then(forward)
    count_heads(net)


@step("tokens", counted=True)
def by_hand(net: Net) -> None:
    """Softmax of the product of matrices, with a mask."""
    q, k, v = projections(net)
    out = net.part(nn.Linear(HEADS * SIZE, net.width))
    hidden = net.constant(torch.ones(net.positions, net.positions, dtype=torch.bool).triu(1))

    def forward(x):
        scores = heads_of(q(x)) @ heads_of(k(x)).mT / SIZE**0.5
        weights = scores.masked_fill(hidden.value, float("-inf")).softmax(-1)
        return x + out(joined(weights @ heads_of(v(x))))

    net.then(forward)
    count_heads(net)


@step("tokens", counted=True)
def fused(net: Net) -> None:
    """One projection for all three, cut in thirds."""
    qkv = net.part(nn.Linear(net.width, 3 * HEADS * SIZE))
    out = net.part(nn.Linear(HEADS * SIZE, net.width))

    def forward(x):
        parts = (heads_of(part) for part in qkv(x).chunk(3, -1))
        return x + out(joined(F.scaled_dot_product_attention(*parts)))

    net.then(forward)
    count_heads(net)


@step("tokens")
def fused_by_view(net: Net) -> None:
    """[3, heads, size] or [heads, 3, size], taken apart by unbind or by index."""
    qkv = net.part(nn.Linear(net.width, 3 * HEADS * SIZE))
    out = net.part(nn.Linear(HEADS * SIZE, net.width))
    first, unbound = net.draw.random() < 0.5, net.draw.random() < 0.5

    def forward(x):
        shape = (3, HEADS, SIZE) if first else (HEADS, 3, SIZE)
        whole = qkv(x).unflatten(-1, shape)
        whole = whole.permute(2, 0, 3, 1, 4) if first else whole.permute(3, 0, 2, 1, 4)
        q, k, v = whole.unbind(0) if unbound else (whole[0], whole[1], whole[2])
        return x + out(joined(F.scaled_dot_product_attention(q, k, v)))

    net.then(forward)


@step("tokens", counted=True)
def grouped_queries(net: Net) -> None:
    """Two heads of queries for each head of keys and values."""
    q = net.part(nn.Linear(net.width, 2 * HEADS * SIZE))
    k, v = projections(net, 2)
    out, by_view = net.part(nn.Linear(2 * HEADS * SIZE, net.width)), net.draw.random() < 0.5

    def spread(x):
        if by_view:
            return x[:, :, None].expand(-1, -1, 2, -1, -1).flatten(1, 2)
        return x.repeat_interleave(2, 1)

    def forward(x):
        keys, values = spread(heads_of(k(x))), spread(heads_of(v(x)))
        mixed = F.scaled_dot_product_attention(heads_of(q(x), 2 * HEADS), keys, values)
        return x + out(joined(mixed))

    net.then(forward)
    count_heads(net)
    net.ledger.fresh(2, copies=HEADS)


@step("tokens", counted=True)
def rotary(net: Net) -> None:
    """Queries and keys turned by an angle per position and pair: their places are fixed."""
    q, k, v = projections(net)
    out, paired = net.part(nn.Linear(HEADS * SIZE, net.width)), net.draw.random() < 0.5
    angle = torch.arange(net.positions)[:, None] / 3 ** torch.arange(SIZE // 2)
    angle = angle.repeat_interleave(2, 1) if paired else angle.repeat(1, 2)
    cos, sin = net.constant(angle.cos()), net.constant(angle.sin())

    def turned(x):
        if paired:
            other = torch.stack([-x[..., 1::2], x[..., ::2]], -1).flatten(-2)
        else:
            left, right = x.chunk(2, -1)
            other = torch.cat([-right, left], -1)
        return x * cos.value + other * sin.value

    def forward(x):
        mixed = F.scaled_dot_product_attention(
            turned(heads_of(q(x))), turned(heads_of(k(x))), heads_of(v(x))
        )
        return x + out(joined(mixed))

    net.then(forward)
    count_heads(net, 1)


@step("tokens", counted=True)
def normed_queries(net: Net) -> None:
    """One scale over the head size for all heads: they permute alike in every head."""
    q, k, v = projections(net)
    norm, out = net.part(nn.RMSNorm(SIZE)), net.part(nn.Linear(HEADS * SIZE, net.width))

    def forward(x):
        queries, keys = norm(heads_of(q(x))), norm(heads_of(k(x)))
        mixed = F.scaled_dot_product_attention(queries, keys, heads_of(v(x)))
        return x + out(joined(mixed))

    net.then(forward)
    count_heads(net, 1)
    net.ledger.fresh(SIZE)


@step("tokens", counted=True)
def talking_heads(net: Net) -> None:
    """A layer across the heads, on the scores: theirs and those of the values part."""
    q, k, v = projections(net)
    talk, out = net.held(HEADS, HEADS), net.part(nn.Linear(HEADS * SIZE, net.width))

    def forward(x):
        scores = heads_of(q(x)) @ heads_of(k(x)).transpose(-1, -2)
        scores = torch.einsum("bhij,hg->bgij", scores, talk.value)
        return x + out(joined(scores.softmax(-1) @ heads_of(v(x))))

    net.then(forward)
    count_heads(net)
    net.ledger.fresh(HEADS)


@step("tokens", counted=True)
def heads_summed(net: Net) -> None:
    """The heads' results are added: the head size of the values permutes alike."""
    q, k, v = projections(net)
    out = net.part(nn.Linear(SIZE, net.width))

    def forward(x):
        parts = (heads_of(part(x)) for part in (q, k, v))
        return x + out(F.scaled_dot_product_attention(*parts).sum(1))

    net.then(forward)
    count_heads(net, 1)
    net.ledger.fresh(SIZE)


@step("tokens", counted=True)
def bias_per_head(net: Net) -> None:
    """A table of relative positions, one column per head."""
    q, k, v = projections(net)
    out, size = net.part(nn.Linear(HEADS * SIZE, net.width)), net.positions
    table = net.held(2 * size - 1, HEADS)
    places = torch.arange(size)
    places = net.constant(places[:, None] - places[None] + size - 1)

    def forward(x):
        bias = table.value[places.value.reshape(-1)].reshape(size, size, -1).permute(2, 0, 1)
        q_, k_, v_ = (heads_of(part(x)) for part in (q, k, v))
        mixed = F.scaled_dot_product_attention(q_, k_, v_, attn_mask=bias[None])
        return x + out(joined(mixed))

    net.then(forward)
    count_heads(net)


@step("tokens")
def torchs_own(net: Net) -> None:
    part = net.part(
        nn.MultiheadAttention(net.width, 2 if net.width % 2 == 0 else 1, batch_first=True)
    )
    net.then(lambda x: x + part(x, x, x, need_weights=False)[0])


@step("tokens", counted=True)
def linear_attention(net: Net) -> None:
    """Keys and values are contracted first."""
    q, k, v = projections(net)
    out = net.part(nn.Linear(HEADS * SIZE, net.width))

    def forward(x):
        q_, k_, v_ = (heads_of(part(x)) for part in (q, k, v))
        memory = torch.einsum("bhtd,bhte->bhde", k_.softmax(2), v_)
        return x + out(joined(torch.einsum("bhtd,bhde->bhte", q_.softmax(-1), memory)))

    net.then(forward)
    count_heads(net)
