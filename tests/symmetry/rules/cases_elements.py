"""Pointwise ops, reductions and pooling."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from tests.symmetry.rules.case import Case, flat, image

POINTWISE = (
    flat("relu", lambda h, p: h.relu(), 4),
    flat("gelu", lambda h, p: F.gelu(h), 4),
    flat("not zero-preserving", lambda h, p: torch.cos(h) + 1.5, 4),
    flat("hardswish", lambda h, p: F.hardswish(h), 4),
    flat("scale and shift", lambda h, p: h * p.a + p.b, 4, a=(4,), b=(1, 4)),
    flat("scalar parameter", lambda h, p: h * p.a, 4, a=(1,)),
    flat("constant scalar", lambda h, p: 2 * h + torch.tensor(1.0), 4),
    flat("constant that differs", lambda h, p: h * torch.arange(4.0)),
    flat("constant that does not differ", lambda h, p: h * torch.ones(4), 4),
    flat(
        "constant partly differs",
        lambda h, p: (h[:, None] * torch.tensor([[1.0] * 4, [2.0] * 4])).sum(1),
        4,
    ),
    flat("where", lambda h, p: torch.where(h > 0, h, p.a), 4, a=(4,)),
    flat("masked_fill", lambda h, p: h.masked_fill(h < 0, 0.5), 4),
    flat("maximum", lambda h, p: torch.maximum(h, p.a), 4, a=(4,)),
    flat("lerp", lambda h, p: torch.lerp(h, p.a.expand_as(h), 0.3), 4, a=(4,)),
    flat("in place", lambda h, p: h.relu_().add_(p.a), 4, a=(4,)),
    flat("in place on a slice", lambda h, p: h[:, :2].mul_(2.0) @ p.a + h, 2, 2, a=(2, 4)),
    flat("prelu per channel", lambda h, p: F.prelu(h, p.a), 4, a=(4,)),
    flat("prelu", lambda h, p: F.prelu(h, p.a), 4, a=(1,)),
    flat("glu", lambda h, p: F.glu(h @ p.v), 4, 4, v=(4, 8)),
    flat("dropout", lambda h, p: F.dropout(h, 0.5, training=False), 4),
    flat("softmax over hidden units", lambda h, p: h.softmax(1), 4),
    flat("log_softmax", lambda h, p: F.log_softmax(h, -1), 4),
    flat("casts and copies", lambda h, p: h.clone().contiguous().float().to(h.dtype), 4),
    flat("residual", lambda h, p: h + (h @ p.v).relu() @ p.u, 4, 5, v=(4, 5), u=(5, 4)),
    flat(
        "two axes tied",
        lambda h, p: ((h[:, :, None] + h[:, None]) * p.a).relu().sum(1),
        4,
        a=(4, 4),
    ),
)

REDUCE = (
    flat("mean over hidden units", lambda h, p: h * h.mean(1, keepdim=True), 4),
    flat("sum without keepdim", lambda h, p: h * h.sum(1)[:, None], 4),
    flat("amax", lambda h, p: h - h.amax(1, keepdim=True), 4),
    flat("variance", lambda h, p: h / (h.var(1, keepdim=True) + 1), 4),
    flat("norm", lambda h, p: h / (h.norm(dim=1, keepdim=True) + 1), 4),
    flat("logsumexp", lambda h, p: h - h.logsumexp(1, keepdim=True), 4),
    flat("sum over everything", lambda h, p: h * p.a.sum(), 3, 4, a=(3,)),
    flat("maximum's value", lambda h, p: h - h.max(1, keepdim=True).values, 4),
    flat("maximum's place", lambda h, p: h * h.max(1, keepdim=True).indices),
    flat("argmax", lambda h, p: h * h.argmax(1)[:, None]),
    flat("cumsum over hidden units", lambda h, p: h.cumsum(1)),
    flat("cumsum elsewhere", lambda h, p: (h[:, None] * p.a).cumsum(1)[:, -1], 4, a=(5, 1)),
    flat("sort over hidden units", lambda h, p: h.sort(1).values),
    flat("topk", lambda h, p: h * h.topk(2, dim=1).values.sum(1, keepdim=True)),
    flat("flip", lambda h, p: h.flip(1)),
    flat("tril", lambda h, p: (h[:, :, None] * p.a).tril().sum(1), a=(4, 4)),
    image("max_pool2d", lambda h, p: F.max_pool2d(h, 2), 4),
    image("avg_pool2d", lambda h, p: F.avg_pool2d(h, 2), 4),
    image("adaptive_avg_pool2d", lambda h, p: F.adaptive_avg_pool2d(h, (2, 1)), 4),
    image("adaptive_max_pool2d", lambda h, p: F.adaptive_max_pool2d(h, 2), 4),
    image("max_pool2d with places", lambda h, p: F.max_pool2d(h, 2, return_indices=True)[0], 4),
    image("nearest", lambda h, p: F.interpolate(h, scale_factor=2.0), 4),
    image("bilinear", lambda h, p: F.interpolate(h, size=(5, 5), mode="bilinear"), 4),
    Case(
        "pooling over hidden units",
        lambda p, x: F.avg_pool1d(F.linear(x, p.w)[:, None], 2)[:, 0] @ p.out,
        {"w": (4, 3), "out": (2, 2)},
        (3,),
        (),
    ),
)
