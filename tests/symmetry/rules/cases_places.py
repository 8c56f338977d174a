"""Reading and writing by number, windows and strides, further products, recurrent layers."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from tests.symmetry.rules.case import Case, flat, image


def ranks(h: Tensor) -> Tensor:
    """Numbers 0 … 2 that depend on the data, alike for all hidden units: [batch, 3, 1]."""
    return h.mean(1)[:, None, None].mul(3).sin().abs().mul(2.9).long() + torch.zeros(3, 1).long()


def written(h: Tensor, p) -> Tensor:
    places = ranks(h).expand(-1, 3, 4)
    return (torch.zeros(h.shape[0], 3, 4).scatter_add(1, places, h[:, None] * p.a) * p.b).sum(1)


def masked(h: Tensor, p) -> Tensor:
    h = h.clone()
    h[h < 0] = 0.5
    return h


def fused(h: Tensor, p) -> Tensor:
    q, k, v = (h @ p.v).view(-1, 1, 3, 2, 3).permute(2, 0, 3, 1, 4).unbind(0)
    return F.scaled_dot_product_attention(q, k * p.a, v).transpose(1, 2).flatten(1)[:, :6] @ p.u


def grouped_queries(p, x: Tensor) -> Tensor:
    q, k, v = (x @ p.q).unflatten(-1, (4, 3)), (x @ p.k).unflatten(-1, (2, 3)), x @ p.v
    q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.unflatten(-1, (2, 5)).transpose(1, 2)
    mixed = F.scaled_dot_product_attention(q, k, v, enable_gqa=True)
    return (mixed.transpose(1, 2).flatten(2) @ p.out).flatten(1)


def recurrent(p, x: Tensor) -> Tensor:
    first = x.new_zeros(1, x.shape[0], 4)
    weights = [p.x, p.h, p.b, p.b]
    out, last = torch.gru(x, first, weights, True, 1, 0.0, False, False, True)
    return torch.cat([out[:, -1], last[0]], 1) @ p.out


def cells(p, x: Tensor) -> Tensor:
    h = c = torch.zeros(x.shape[0], 4)
    for step in x.unbind(1):
        h, c = torch.lstm_cell(step, (h, c), p.x, p.h, p.b, p.b)
    return h @ p.out


PLACES = (
    flat("gather", lambda h, p: (h[:, None] * p.a).gather(1, ranks(h).expand(-1, 3, 4)).sum(1), 4,
         a=(3, 1)),
    flat("gather over hidden units", lambda h, p: h * (h.gather(1, ranks(h)[:, 0]) @ p.a),
         a=(1, 4)),
    flat("scatter_add", written, 3, 4, a=(3, 1), b=(3, 1)),
    flat("mask written to", masked, 4),
    flat("one_hot", lambda h, p: F.one_hot(ranks(h)[:, 0, 0], 3).float() @ p.a * h, 4, a=(3, 4)),
    flat("bucketize", lambda h, p: h * torch.bucketize(h, torch.tensor([-0.5, 0.1, 0.6])), 4),
    flat("differences elsewhere", lambda h, p: (h[:, None] * p.a).diff(dim=1).sum(1), 4, a=(3, 1)),
    flat("meshgrid", lambda h, p: h * torch.meshgrid(p.a, p.b, indexing="ij")[0].sum(1), 4, 5,
         a=(4,), b=(5,)),
    flat("every second", lambda h, p: (h @ p.v)[:, 1::2].relu(), 4, 4, v=(4, 9)),
    flat("the only one of many", lambda h, p: h * (h[:, None] @ p.v)[:, ::3, 1::5][:, 0], 4, 4,
         v=(4, 5)),
    flat("windows side by side", lambda h, p: (h @ p.v).unfold(1, 2, 2).sum(2), 4, 4, 2, v=(4, 8)),
    flat("overlapping windows", lambda h, p: (h @ p.v).unfold(1, 2, 1).sum(2), 4, v=(4, 5)),
    flat("strided transpose", lambda h, p: h * p.a.as_strided((4, 3), (1, 4)).sum(1), 3, 4,
         a=(3, 4)),
    flat("strided cut", lambda h, p: h * p.a.as_strided((4,), (3,), 1), 4, a=(4, 3)),
    flat("strided windows", lambda h, p: h * p.a.as_strided((4, 2), (1, 1)).sum(1), a=(5,)),
    flat("spectrum elsewhere", lambda h, p: torch.fft.fft(h[:, None] * p.a, dim=1).real.sum(1), 4,
         a=(3, 1)),
    image("unpooled", lambda h, p: F.max_unpool2d(*F.max_pool2d(h, 2, return_indices=True), 2), 4),
    image("grid_sample", lambda h, p: F.grid_sample(
        h, F.affine_grid(h.new_ones(1).expand(h.shape[0])[:, None, None] * p.a,
                         [h.shape[0], 4, 3, 3], align_corners=False), align_corners=False),
        4, a=(2, 3)),
    image("fold", lambda h, p: F.fold(F.unfold(h, 2) * p.a, (4, 4), 2), 4, a=(16, 1)),
)  # fmt: skip

PRODUCTS = (
    flat("cosine_similarity", lambda h, p: h * F.cosine_similarity(h, p.a, dim=1)[:, None], 4,
         a=(1, 4)),
    flat("pairwise_distance", lambda h, p: h * F.pairwise_distance(h, p.a)[:, None], 4, a=(1, 4)),
    flat("cdist", lambda h, p: torch.cdist(h[:, None], p.c)[:, 0] @ p.v, 4, 4, 5, c=(1, 5, 4),
         v=(5, 4)),
    flat("bilinear", lambda h, p: F.bilinear(h, h.relu(), p.v), 4, 4, v=(4, 4, 4)),
    flat("tensordot", lambda h, p: torch.tensordot(h, p.v, ([1], [0])), 4, 4, v=(4, 4)),
    flat("inner", lambda h, p: torch.inner(h, p.v), 4, 4, v=(4, 4)),
    flat("weight norm", lambda h, p: h @ torch._weight_norm(p.v, p.g, 1), 4, 4, v=(4, 4),
         g=(1, 4)),
    flat("diagonal", lambda h, p: h * p.v.diagonal(), 4, v=(4, 4)),
    flat("trace", lambda h, p: h * p.v.trace(), 4, 5, v=(5, 5)),
    flat("matrix with a diagonal", lambda h, p: h @ torch.diag_embed(p.a), 4, a=(4,)),
    flat("fused projections", fused, 4, 2, 3, 3, 4, v=(4, 18), a=(1,), u=(6, 4)),
    Case("grouped queries", grouped_queries,
         {"q": (3, 12), "k": (3, 6), "v": (3, 10), "out": (20, 2)}, (6, 3), (2, 2, 3, 5)),
    Case("recurrent layer", recurrent,
         {"x": (12, 3), "h": (12, 4), "b": (12,), "out": (8, 2)}, (5, 3), (4,)),
    Case("recurrent cell", cells,
         {"x": (16, 3), "h": (16, 4), "b": (16,), "out": (4, 2)}, (2, 3), (4,)),
)  # fmt: skip
