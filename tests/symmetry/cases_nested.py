"""Small networks with heads, groups and experts: where an inner atom is nested, and where not.

Each case is (function of parameters and input, shapes, input shape). Inputs are [batch, 3, 5]
unless told otherwise: three positions, five features; two heads of three units. What stays
nested and what does not was worked out by hand.
"""

from __future__ import annotations

from math import sqrt

import torch
from torch import Tensor
from torch.nn import functional as F

H, D = 2, 3


def heads(x: Tensor) -> Tensor:
    """[b, t, h·d] as [b, h, t, d]."""
    return x.view(x.shape[0], x.shape[1], H, -1).transpose(1, 2)


def merge(x: Tensor) -> Tensor:
    """[b, h, t, d] as [b, t, h·d]."""
    return x.transpose(1, 2).reshape(x.shape[0], x.shape[2], -1)


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return (q @ k.mT / sqrt(D)).softmax(-1) @ v


def hidden(p, x):
    """One head-wise hidden layer, [b, h, t, d]."""
    return heads(x @ p.w).tanh()


WV = {"w": (5, H * D), "v": (H * D, 2)}
QKV = {"q": (5, H * D), "k": (5, H * D), "w": (5, H * D), "v": (H * D, 2)}
EXPERTS = {"w": (3, 5, 4), "v": (3, 4, 2)}

NESTED = {
    "attention": (
        lambda p, x: merge(attend(heads(x @ p.q), heads(x @ p.k), heads(x @ p.w))) @ p.v,
        QKV,
        [("q", H, D), ("w", H, D)],
    ),
    "fused attention": (
        lambda p, x: (
            merge(F.scaled_dot_product_attention(*map(heads, (x @ p.w).chunk(3, -1)))) @ p.v
        ),
        {"w": (5, 3 * H * D), "v": (H * D, 2)},
        [("w", H, D), ("w", H, D)],
    ),
    "several queries per key": (
        lambda p, x: (
            F.scaled_dot_product_attention(
                (x @ p.q).view(-1, 3, 4, D).transpose(1, 2),
                heads(x @ p.k).repeat_interleave(2, 1),
                heads(x @ p.w)[:, :, None].expand(-1, -1, 2, -1, -1).reshape(-1, 4, 3, D),
            )
            .transpose(1, 2)
            .reshape(-1, 3, 4 * D)
            @ p.v
        ),
        {"q": (5, 4 * D), "k": (5, H * D), "w": (5, H * D), "v": (4 * D, 2)},
        [("q", H, 2), ("q", H, D), ("w", H, D)],
    ),
    "head outside and inside": (
        lambda p, x: merge(hidden(p, x)) @ p.v + (x @ p.u).view(-1, 3, D, H).sum((2, 3))[..., None],
        WV | {"u": (5, H * D)},
        [("w", H, D), ("u", H, D)],
    ),
    "inner units stand outside": (
        lambda p, x: (
            (
                ((x @ p.w).view(-1, 3, D, H) * p.s).transpose(2, 3).tanh()
                * (x @ p.w).view(-1, 3, D, H).mT.mean(3, True)
            ).flatten(2)
            @ p.v
        ),
        WV | {"s": (H,)},
        [("w", H, D)],
    ),
    "a scale per head": (
        lambda p, x: merge(hidden(p, x) * p.s) @ p.v,
        WV | {"s": (H, 1, 1)},
        [("w", H, D)],
    ),
    "normalised per head": (
        lambda p, x: merge(F.layer_norm(hidden(p, x), (D,))) @ p.v,
        WV,
        [("w", H, D)],
    ),
    "normalised over all": (
        lambda p, x: F.layer_norm(merge(hidden(p, x) * p.s), (H * D,), p.g) @ p.v,
        WV | {"g": (H * D,), "s": (H, 1, 1)},
        [("w", H, D)],
    ),
    "talking heads before the values": (
        lambda p, x: (
            merge(
                torch.einsum("bhts,hg->bgts", heads(x @ p.q) @ heads(x @ p.k).mT, p.m).softmax(-1)
                @ heads(x @ p.w)
            )
            @ p.v
        ),
        QKV | {"m": (H, H)},
        [("q", H, D), ("w", H, D)],
    ),
    "experts": (
        lambda p, x: torch.einsum(
            "bteh,ehc,bte->btc",
            torch.einsum("btc,ech->bteh", x, p.w).relu(),
            p.v,
            (x @ p.g).softmax(-1),
        ),
        EXPERTS | {"g": (5, 3)},
        [("w", 3, 4)],
    ),
    "experts in a loop of matrix products": (
        lambda p, x: ((x[:, None] @ p.w).relu() @ p.v * (x.mean(1) @ p.g)[:, :, None, None]).sum(1),
        EXPERTS | {"g": (5, 3)},
        [("w", 3, 4)],
    ),
    "experts chosen by rank: fixed": (
        lambda p, x: (
            torch.einsum("bteh,ehc->btec", torch.einsum("btc,ech->bteh", x, p.w).relu(), p.v)
            * ((x @ p.g) >= (x @ p.g).topk(2, -1)[0][..., 1:])[..., None]
        ).sum(2),
        EXPERTS | {"g": (5, 3)},
        [("w", 3, 4)],
    ),
    "heads with slopes: fixed": (
        lambda p, x: (
            merge(
                (heads(x @ p.q) @ heads(x @ p.k).mT + torch.tensor([1.0, 2.0])[:, None, None])
                .mul(torch.tensor([0.5, 0.25])[:, None, None])
                .softmax(-1)
                @ heads(x @ p.w)
            )
            @ p.v
        ),
        QKV,
        [("q", H, D), ("w", H, D)],
    ),
    "a network per position: fixed": (
        lambda p, x: torch.einsum("bth,thc->btc", torch.einsum("btc,tch->bth", x, p.w).relu(), p.v),
        EXPERTS,
        [("w", 3, 4)],
    ),
}
"""Name → function, shapes, the nested groups as (first parameter, copies, size)."""

SHARED = {
    "a bias for all heads": (
        lambda p, x: merge((heads(x @ p.w) + p.b).tanh()) @ p.v,
        WV | {"b": (D,)},
        [("w", D, H)],
    ),
    "a norm's weight for all heads": (
        lambda p, x: merge(F.layer_norm(hidden(p, x), (D,), p.g)) @ p.v,
        WV | {"g": (D,)},
    ),
    "summed over heads": (
        lambda p, x: hidden(p, x).sum(1) @ p.v,
        WV | {"v": (D, 2)},
        [("w", D, H)],
    ),
    "less its mean over heads": (
        lambda p, x: merge(hidden(p, x) - hidden(p, x).mean(1, True)) @ p.v,
        WV,
        [("w", D, H)],
    ),
    "softmax over heads": (
        lambda p, x: merge(hidden(p, x).softmax(1)) @ p.v,
        WV,
        [("w", D, H)],
    ),
    "normalised over heads": (
        lambda p, x: F.layer_norm(heads(x @ p.w).permute(0, 2, 3, 1), (H,)).flatten(2) @ p.v,
        WV,
        [("w", D, H)],
    ),
    "values mixed across heads": (
        lambda p, x: merge(torch.einsum("bhtd,hg->bgtd", hidden(p, x), p.m).tanh()) @ p.v,
        WV | {"m": (H, H)},
    ),
    "scores between heads": (
        lambda p, x: (
            torch.einsum("bhtd,bgtd->bthg", hidden(p, x), hidden(p, x).abs()).flatten(2) @ p.v
        ),
        WV | {"v": (H * H, 2)},
    ),
    "scores between heads, by matrices": (
        lambda p, x: (
            (hidden(p, x)[:, :, None] @ hidden(p, x).abs()[:, None].mT)
            .tanh()
            .sum((3, 4))
            .flatten(1)
            @ p.v
        ),
        WV | {"v": (H * H, 2)},
    ),
    "one key for all heads": (
        lambda p, x: (
            merge(attend(heads(x @ p.q), (x @ p.k)[:, None], heads(x @ p.w)).sum(-1, True)) @ p.v
        ),
        QKV | {"k": (5, D), "v": (H, 2)},
        [("w", H, D)],
    ),
    "heads picked by number": (lambda p, x: merge(hidden(p, x)[:, [1, 0]]) @ p.v, WV),
    "heads added up in order": (lambda p, x: merge(hidden(p, x).cumsum(1)) @ p.v, WV),
    "heads turned round": (lambda p, x: merge(hidden(p, x) + hidden(p, x).flip(1)) @ p.v, WV),
    "the units of one head gate another": (
        lambda p, x: (hidden(p, x)[:, 0] * hidden(p, x)[:, 1]) @ p.v,
        WV | {"v": (D, 2)},
    ),
    "heads and units exchanged": (
        lambda p, x: (merge(hidden(p, x)) + hidden(p, x).permute(0, 2, 3, 1).flatten(2)) @ p.v,
        WV,
    ),
    "positions added up": (
        lambda p, x: torch.einsum(
            "bth,thc->btc", torch.einsum("btc,tch->bth", x, p.w).relu().cumsum(1), p.v
        ),
        EXPERTS,
    ),
    "positions shifted": (
        lambda p, x: torch.einsum(
            "bth,thc->btc", torch.einsum("btc,tch->bth", x, p.w).roll(1, 1), p.v
        ),
        EXPERTS,
    ),
    "softmax over positions": (
        lambda p, x: torch.einsum(
            "bth,thc->btc", torch.einsum("btc,tch->bth", x, p.w).softmax(1), p.v
        ),
        EXPERTS,
    ),
    "positions mixed by a matrix": (
        lambda p, x: torch.einsum(
            "bth,thc->btc",
            torch.einsum("btc,tch->bth", x, p.w)
            + torch.einsum("bth,ts->bsh", torch.einsum("btc,tch->bth", x, p.w), p.m).relu(),
            p.v,
        ),
        EXPERTS | {"m": (3, 3)},
    ),
    "positions attend to each other": (
        lambda p, x: torch.einsum(
            "bth,thc->btc",
            F.scaled_dot_product_attention(*[torch.einsum("btc,tch->bth", x, p.w)[:, None]] * 3)[
                :, 0
            ],
            p.v,
        ),
        EXPERTS,
    ),
    "positions under a kernel": (
        lambda p, x: torch.einsum(
            "bth,thc->btc",
            F.conv1d(torch.einsum("btc,tch->bth", x, p.w).mT, p.k, padding=1, groups=4).mT,
            p.v,
        ),
        EXPERTS | {"k": (4, 1, 3)},
    ),
}
"""Name → function, shapes, what is nested all the same (heads under each unit of a head, say).

Each has inner units that must not permute differently under each outer one.
"""
