"""Language models written out: rotary embeddings, grouped queries, gated MLPs, experts."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.zoo.entry import Architecture, tokens

WIDTH, HEADS, LENGTH, VOCABULARY = 12, 2, 5, 11


class RMSNorm(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        x32 = x.float()
        return self.weight * (x32 * torch.rsqrt(x32.pow(2).mean(-1, keepdim=True) + 1e-6)).type_as(
            x
        )


def rotated(x: Tensor, interleaved: bool) -> Tensor:
    """Rotary embedding over [n, heads, length, size], by halves or by neighbours."""
    half = x.shape[-1] // 2
    angles = torch.outer(torch.arange(x.shape[-2]).float(), 10.0 ** -torch.arange(half).float())
    if interleaved:
        pairs = torch.view_as_complex(x.reshape(*x.shape[:-1], half, 2).float())
        turned = pairs * torch.polar(torch.ones_like(angles), angles)
        return torch.view_as_real(turned).flatten(3).type_as(x)
    cos, sin = torch.cat([angles.cos()] * 2, -1), torch.cat([angles.sin()] * 2, -1)
    return x * cos + torch.cat([-x[..., half:], x[..., :half]], -1) * sin


class GroupedQueries(nn.Module):
    """Attention with fewer heads for k and v: repeated by hand or by torch's own flag."""

    def __init__(self, rotary: str, flag: bool) -> None:
        super().__init__()
        self.rotary, self.flag, self.size = rotary, flag, 6
        self.q, self.o = nn.Linear(WIDTH, 24, bias=False), nn.Linear(24, WIDTH, bias=False)
        self.k, self.v = (nn.Linear(WIDTH, 12, bias=False) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        n, length, _ = x.shape
        q, k, v = (
            f(x).view(n, length, -1, self.size).transpose(1, 2) for f in (self.q, self.k, self.v)
        )
        if self.rotary:
            q, k = (rotated(part, self.rotary == "neighbours") for part in (q, k))
        if not self.flag:
            k, v = (part.repeat_interleave(2, dim=1) for part in (k, v))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=self.flag)
        return self.o(mixed.transpose(1, 2).reshape(n, length, -1))


class GatedMLP(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gate, self.up = (nn.Linear(WIDTH, 9, bias=False) for _ in range(2))
        self.down = nn.Linear(9, WIDTH, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(F.silu(self.gate(x)) * self.up(x))


class Experts(nn.Module):
    """Every expert sees every token; the two best per token are mixed."""

    def __init__(self, count: int = 4) -> None:
        super().__init__()
        self.router = nn.Linear(WIDTH, count, bias=False)
        self.up = nn.Parameter(torch.randn(count, WIDTH, 14) / 4)
        self.down = nn.Parameter(torch.randn(count, 7, WIDTH) / 4)

    def forward(self, x: Tensor) -> Tensor:
        scores = self.router(x).softmax(-1)
        best, chosen = scores.topk(2, dim=-1)
        best = best / best.sum(-1, keepdim=True)
        weights = torch.zeros_like(scores).scatter(-1, chosen, best)
        gate, value = torch.einsum("nlw,ewh->nleh", x, self.up).chunk(2, -1)
        out = torch.einsum("nleh,ehw->nlew", F.silu(gate) * value, self.down)
        return (out * weights[..., None]).sum(-2)


class Decoder(nn.Module):
    """Pre-norm blocks over tokens, the head tied to the embedding or not."""

    def __init__(self, attention: nn.Module, mlp: nn.Module, tied: bool) -> None:
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, WIDTH)
        self.attention, self.mlp = attention, mlp
        self.norms = nn.ModuleList(RMSNorm(WIDTH) for _ in range(3))
        self.head = nn.Linear(WIDTH, VOCABULARY, bias=False)
        if tied:
            self.head.weight = self.embed.weight

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embed(ids)
        x = x + self.attention(self.norms[0](x))
        x = x + self.mlp(self.norms[1](x))
        return self.head(self.norms[2](x))


class FusedAttention(nn.Module):
    """nanoGPT's attention: one projection, split into three, with a causal mask buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.register_buffer("mask", torch.ones(LENGTH, LENGTH).tril()[None, None])

    def forward(self, x: Tensor) -> Tensor:
        n, length, width = x.shape
        q, k, v = (
            part.view(n, length, HEADS, width // HEADS).transpose(1, 2)
            for part in self.qkv(x).split(width, 2)
        )
        scores = (q @ k.transpose(-2, -1)) / (width // HEADS) ** 0.5
        scores = scores.masked_fill(self.mask[:, :, :length, :length] == 0, float("-inf"))
        return self.out((scores.softmax(-1) @ v).transpose(1, 2).reshape(n, length, width))


class NanoGPT(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.places = nn.Embedding(VOCABULARY, WIDTH), nn.Embedding(LENGTH, WIDTH)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(WIDTH) for _ in range(3))
        self.attention = FusedAttention()
        self.up, self.down = nn.Linear(WIDTH, 9), nn.Linear(9, WIDTH)
        self.head = nn.Linear(WIDTH, VOCABULARY, bias=False)
        self.embed.weight = self.head.weight

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embed(ids) + self.places(torch.arange(ids.shape[1]))
        x = x + self.attention(self.norm1(x))
        x = x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))
        return self.head(self.norm3(x)[:, [-1], :])


class Scan(nn.Module):
    """A selective state space (Mamba), its scan unrolled over the length."""

    def __init__(self) -> None:
        super().__init__()
        inner, state, rank = 10, 4, 3
        self.embed, self.norm = nn.Embedding(VOCABULARY, WIDTH), RMSNorm(WIDTH)
        self.into, self.out = nn.Linear(WIDTH, 2 * inner, bias=False), nn.Linear(inner, WIDTH)
        self.conv = nn.Conv1d(inner, inner, 3, padding=2, groups=inner)
        self.select, self.delta = nn.Linear(inner, rank + 2 * state), nn.Linear(rank, inner)
        self.log_rate = nn.Parameter(torch.randn(inner, state))
        self.skip = nn.Parameter(torch.randn(inner))
        self.sizes = (rank, state, state)
        self.head = nn.Linear(WIDTH, VOCABULARY, bias=False)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embed(ids)
        y, gate = self.into(self.norm(x)).chunk(2, -1)
        y = F.silu(self.conv(y.transpose(1, 2))[..., :LENGTH].transpose(1, 2))
        step, write, read = self.select(y).split(self.sizes, -1)
        step = F.softplus(self.delta(step))
        state, seen = y.new_zeros(y.shape[0], *self.log_rate.shape), []
        for place in range(LENGTH):
            decay = torch.exp(-step[:, place, :, None] * self.log_rate.exp())
            written = (step * y)[:, place, :, None] * write[:, place, None]
            state = decay * state + written
            seen.append((state @ read[:, place, :, None]).squeeze(-1))
        y = torch.stack(seen, 1) + self.skip * y
        return self.head(x + self.out(y * F.silu(gate)))


IDS = tokens(VOCABULARY, LENGTH)
ARCHITECTURES = (
    Architecture("nanoGPT", "GPT", NanoGPT, IDS, (12, 2, 6, 6, 9)),
    Architecture("Llama, grouped queries", "Llama",
                 lambda: Decoder(GroupedQueries("halves", False), GatedMLP(), False), IDS,
                 (12, 2, 2, 6, 9)),
    Architecture("Llama, grouped queries by flag", "Llama",
                 lambda: Decoder(GroupedQueries("", True), GatedMLP(), True), IDS,
                 (12, 2, 2, 6, 6, 9)),
    Architecture("Llama, complex rotary", "Llama",
                 lambda: Decoder(GroupedQueries("neighbours", True), GatedMLP(), True), IDS,
                 (12, 2, 2, 6, 9)),
    Architecture("Mixture of experts", "Mixtral",
                 lambda: Decoder(GroupedQueries("halves", True), Experts(), False), IDS,
                 (12, 2, 2, 6, 7)),
    Architecture("Mamba, unrolled", "Mamba", Scan, IDS, (12, 10, 3, 4)),
)  # fmt: skip
