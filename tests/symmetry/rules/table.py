"""One tiny network per op: its parameters, its input, its group sizes counted by hand.

Most end with `.relu() @ p.out`, which ties the op's result to a last layer, so that a rule
that ties too little fails the proof and one that ties too much lacks a group.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
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

SHAPE = (
    flat("view and back", lambda h, p: h.view(-1, 2, 2).relu().reshape(-1, 4), 2, 2),
    flat("factors used apart", lambda h, p: (h.view(-1, 2, 2) * p.a).flatten(1), 2, 2, a=(2, 1)),
    flat(
        "view without refinement",
        lambda h, p: (h @ p.v).view(-1, 2, 3).relu().reshape(-1, 3, 2).sum(2) @ p.u,
        4,
        4,
        v=(4, 6),
        u=(3, 4),
    ),
    flat("unsqueeze and squeeze", lambda h, p: h[:, None, :, None].squeeze(3).squeeze(1), 4),
    flat("permute", lambda h, p: h[:, :, None].permute(2, 1, 0).permute(2, 1, 0)[:, :, 0], 4),
    flat("transpose", lambda h, p: h[:, None].transpose(1, 2).mT[:, 0], 4),
    flat("movedim", lambda h, p: torch.movedim(h[:, None], 2, 1)[:, :, 0], 4),
    flat("matrix .T", lambda h, p: h * (p.a.T @ p.a).sum(0), 4, 5, a=(5, 4)),
    flat("expand", lambda h, p: (h[:, None].expand(-1, 3, -1) * p.a).sum(1), 3, 4, a=(3, 1)),
    flat("repeat", lambda h, p: h.repeat(1, 3) @ p.a, 3, 4, 4, a=(12, 4)),
    flat("repeat_interleave", lambda h, p: h.repeat_interleave(3, 1) @ p.a, 3, 4, 4, a=(12, 4)),
    flat("zeros and ones", lambda h, p: h + torch.zeros_like(h) + h.new_ones(4), 4),
    flat("arange", lambda h, p: h + torch.arange(4)),
    flat(
        "complex numbers",
        lambda h, p: torch.view_as_real(torch.view_as_complex(h.view(-1, 2, 2)) * 1j).flatten(1),
        2,
    ),
    image("flatten to linear", lambda h, p: (h.flatten(1) @ p.v)[:, :, None], 4, 4, v=(64, 4)),
    image(
        "channels last",
        lambda h, p: (h.permute(0, 2, 3, 1).flatten(1) @ p.v)[:, :, None],
        4,
        4,
        v=(64, 4),
    ),
    image(
        "pixel_shuffle", lambda h, p: F.pixel_shuffle(F.conv2d(h, p.v), 2), 4, 4, v=(16, 4, 1, 1)
    ),
    image(
        "pixel_unshuffle",
        lambda h, p: F.conv2d(F.pixel_unshuffle(h, 2), p.v),
        4,
        4,
        v=(4, 16, 1, 1),
    ),
    image("unfold", lambda h, p: p.v @ F.unfold(h, 2), 4, 4, v=(4, 16)),
    image("channel_shuffle", lambda h, p: F.channel_shuffle(h, 2) * p.a, 2, 2, a=(4, 1, 1)),
)

JOIN = (
    flat("cat", lambda h, p: torch.cat([h, h @ p.v], 1) @ p.u, 3, 4, 4, v=(4, 3), u=(7, 4)),
    flat("cat with itself", lambda h, p: torch.cat([h, h], 1) @ p.u, 4, 4, u=(8, 4)),
    flat("stack", lambda h, p: torch.stack([h, h.relu()], 1).sum(1), 4),
    flat("chunk", lambda h, p: torch.cat(h.chunk(2, 1)[::-1], 1), 2, 2),
    flat("chunk and add", lambda h, p: sum((h @ p.v).chunk(2, 1)), 4, 4, v=(4, 8)),
    flat("split", lambda h, p: (h @ p.v).split([4, 3, 1], 1)[0], 3, 4, 4, v=(4, 8)),
    flat("unbind elsewhere", lambda h, p: sum((h[:, None] * p.a).unbind(1)), 4, a=(3, 1)),
    flat("slice", lambda h, p: (h @ p.v)[:, 2:6], 2, 2, 4, 4, v=(4, 8)),
    flat("strided slice", lambda h, p: (h @ p.v)[:, ::2], 4, v=(4, 8)),
    flat("narrow", lambda h, p: (h @ p.v).narrow(1, 1, 4), 3, 4, 4, v=(4, 8)),
    flat("select", lambda h, p: h * (h @ p.v)[:, 1:2], 2, 4, v=(4, 4)),
    flat("pad", lambda h, p: F.pad(h[:, 1:3], (1, 1)), 2),
    flat("pad wide", lambda h, p: F.pad(h, (2, 3)) @ p.u, 2, 3, 4, 4, u=(9, 4)),
    flat("crop by padding", lambda h, p: F.pad(h @ p.v, (-1, -2)), 2, 4, 4, v=(4, 7)),
    flat(
        "circular pad",
        lambda h, p: F.pad(h[:, None], (2, 2), mode="circular")[:, 0] @ p.u,
        4,
        u=(8, 4),
    ),
    flat("index_select", lambda h, p: h.index_select(1, torch.tensor([1, 0, 3, 2]))),
    flat("index", lambda h, p: h[:, [2, 3, 0, 1]]),
    flat("index elsewhere", lambda h, p: p.a[torch.tensor([1, 0, 1])].sum(0) * h, 4, a=(2, 4)),
    flat(
        "index of a middle axis", lambda h, p: (h[:, None, :] * p.a)[:, [0, 2]].sum(1), 4, a=(3, 1)
    ),
    image("reflect pad of positions", lambda h, p: F.pad(h, (1, 1, 1, 1), mode="reflect"), 4),
)

CASES = {
    "contraction": CONTRACTION,
    "pointwise": POINTWISE,
    "norm": NORM,
    "reduce": REDUCE,
    "shape": SHAPE,
    "join": JOIN,
}
