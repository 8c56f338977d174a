"""Contractions and normalisations."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from tests.symmetry.rules.case import Case, flat, image


def embed(p, x: Tensor) -> Tensor:
    tokens = (3 * x.abs()).clamp(max=6).long()
    return F.embedding(tokens, p.table).mean(1) @ p.out


def attend(**options: bool) -> Callable[..., Tensor]:
    def function(p, x: Tensor) -> Tensor:
        q, k, v = (x @ w for w in (p.q, p.k, p.v))
        return (F.scaled_dot_product_attention(q, k, v, **options) @ p.out).flatten(1)

    return function


ATTENTION = {"q": (3, 4), "k": (3, 4), "v": (3, 5), "out": (5, 2)}

CONTRACTION = (
    flat("linear", lambda h, p: F.linear(h.relu(), p.v, p.b).relu(), 4, 4, v=(4, 4), b=(4,)),
    flat("matmul", lambda h, p: (h.relu() @ p.v).relu(), 4, 4, v=(4, 4)),
    flat("matmul of a vector", lambda h, p: h * (h @ p.v)[:, None], 4, v=(4,)),
    flat("matmul broadcast", lambda h, p: (h[:, None] @ p.v).sum(1), 4, 4, v=(4, 4)),
    flat(
        "batched matrices",
        lambda h, p: (p.v @ h[:, None, :, None]).sum((1, 2, 3))[:, None] * h,
        4,
        5,
        v=(5, 1, 4),
    ),
    flat("mm", lambda h, p: torch.mm(h.relu(), p.v), 4, 4, v=(4, 4)),
    flat("mv", lambda h, p: h * torch.mv(h, p.v)[:, None], 4, v=(4,)),
    flat("bmm", lambda h, p: h * torch.bmm(h[:, None], h[:, :, None])[:, 0], 4),
    flat("gram matrix", lambda h, p: torch.bmm(h[:, :, None], h[:, None]).softmax(2).sum(1), 4),
    flat("addmm", lambda h, p: torch.addmm(p.b, h.relu(), p.v), 4, 4, v=(4, 4), b=(4,)),
    flat("einsum", lambda h, p: torch.einsum("bi,ij->bj", h.relu(), p.v), 4, 4, v=(4, 4)),
    flat(
        "einsum with dots",
        lambda h, p: torch.einsum("...i,ij->...j", h.relu(), p.v),
        4,
        4,
        v=(4, 4),
    ),
    flat(
        "einsum with dots on both sides",
        lambda h, p: torch.einsum("...ai,...ij", h[:, None, None], p.v[None]).flatten(1),
        4,
        4,
        v=(4, 4),
    ),
    flat("einsum without arrow", lambda h, p: torch.einsum("bi,ij", h.relu(), p.v), 4, 4, v=(4, 4)),
    flat("einsum diagonal", lambda h, p: h * torch.einsum("ii->i", p.v), 4, v=(4, 4)),
    flat("outer", lambda h, p: h @ torch.outer(p.a, p.b), 4, 4, a=(4,), b=(4,)),
    flat("both axes of one parameter", lambda h, p: (h @ p.v) + h, 4, v=(4, 4)),
    flat("tied transpose", lambda h, p: (h @ p.v).relu() @ p.v.t(), 4, 5, v=(4, 5)),
    flat("used twice", lambda h, p: ((h @ p.v).relu() @ p.v).relu(), 4, v=(4, 4)),
    image("conv2d", lambda h, p: F.conv2d(h.relu(), p.v, p.b), 4, 4, v=(4, 4, 2, 2), b=(4,)),
    image("conv2d of one", lambda h, p: F.conv2d(h.relu(), p.v), 4, 4, v=(4, 4, 1, 1)),
    image("depthwise", lambda h, p: F.conv2d(h, p.v, p.b, groups=4), 4, v=(4, 1, 2, 2), b=(4,)),
    image(
        "depthwise twice",
        lambda h, p: F.conv2d(h, p.v, groups=4)[:, ::1].unflatten(1, (4, 2)).sum(2),
        4,
        2,
        v=(8, 1, 2, 2),
    ),
    image("grouped", lambda h, p: F.conv2d(h, p.v, groups=2), 2, 2, 2, v=(4, 2, 2, 2)),
    image(
        "transposed",
        lambda h, p: F.conv_transpose2d(h.relu(), p.v, p.b, 2),
        4,
        4,
        v=(4, 4, 2, 2),
        b=(4,),
    ),
    image(
        "transposed grouped",
        lambda h, p: F.conv_transpose2d(h, p.v, groups=2),
        2,
        2,
        2,
        v=(4, 2, 2, 2),
    ),
    Case(
        "conv1d",
        lambda p, x: F.conv1d(x, p.w, padding="same").relu().mean(2) @ p.out,
        {"w": (4, 3, 3), "out": (4, 2)},
        (3, 6),
        (4,),
    ),
    Case(
        "conv3d",
        lambda p, x: F.conv3d(x, p.w, stride=2).relu().mean((2, 3, 4)) @ p.out,
        {"w": (4, 1, 2, 2, 2), "out": (4, 2)},
        (1, 4, 4, 4),
        (4,),
    ),
    Case(
        "convolution over hidden positions",
        lambda p, x: F.conv1d((x[:, :, None] * p.w).relu(), p.v).flatten(1) @ p.out,
        {"w": (3, 4), "v": (2, 3, 1), "out": (8, 2)},
        (3,),
        (2, 4),
    ),
    Case("embedding", embed, {"table": (7, 4), "out": (4, 2)}, (2,), (4,)),
    Case("attention", attend(), ATTENTION, (6, 3), (4, 5)),
    Case("causal attention", attend(is_causal=True), ATTENTION, (6, 3), (4, 5)),
    Case(
        "attention over hidden positions",
        lambda p, x: F.scaled_dot_product_attention(x @ p.q, p.k, p.v) @ p.out,
        {"q": (3, 4), "k": (1, 7, 4), "v": (1, 7, 5), "out": (5, 2)},
        (6, 3),
        (4, 5, 7),
    ),
    Case(
        "attention with a mask",
        lambda p, x: F.scaled_dot_product_attention(x @ p.q, p.k, p.v, attn_mask=p.mask) @ p.out,
        {"q": (3, 4), "k": (1, 7, 4), "v": (1, 7, 5), "mask": (1, 7), "out": (5, 2)},
        (6, 3),
        (4, 5, 7),
    ),
)

NORM = (
    flat(
        "batch_norm",
        lambda h, p: F.batch_norm(h, p.a, p.var, p.c, p.d),
        4,
        a=(4,),
        var=(4,),
        c=(4,),
        d=(4,),
    ),
    flat("batch_norm without scale", lambda h, p: F.batch_norm(h, p.a, p.var), 4, a=(4,), var=(4,)),
    flat("layer_norm", lambda h, p: F.layer_norm(h, (4,), p.a, p.b), 4, a=(4,), b=(4,)),
    flat("layer_norm without scale", lambda h, p: F.layer_norm(h, (4,)), 4),
    flat("rms_norm", lambda h, p: F.rms_norm(h, (4,), p.a), 4, a=(4,)),
    flat("normalize", lambda h, p: F.normalize(h, dim=1), 4),
    image("layer_norm over an image", lambda h, p: F.layer_norm(h, (4, 4, 4), p.a), 4, a=(4, 4, 4)),
    image("layer_norm over positions", lambda h, p: F.layer_norm(h, (4, 4), p.a), 4, a=(4, 4)),
    image("group_norm", lambda h, p: F.group_norm(h, 2, p.a, p.b), 2, 2, a=(4,), b=(4,)),
    image("group_norm of one group", lambda h, p: F.group_norm(h, 1, p.a, p.b), 4, a=(4,), b=(4,)),
    image(
        "group_norm across a concatenation",
        lambda h, p: F.group_norm(torch.cat([h[:, :3], F.conv2d(h, p.v)], 1), 2)[:, :4],
        3,
        4,
        v=(5, 4, 1, 1),
    ),
    image(
        "instance_norm",
        lambda h, p: F.instance_norm(h, weight=p.a, bias=p.b).relu(),
        4,
        a=(4,),
        b=(4,),
    ),
)
