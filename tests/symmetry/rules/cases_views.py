"""Views, joins, slices, padding and indexing."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from tests.symmetry.rules.case import flat, image


def shared(zeros: Tensor, h: Tensor, p) -> Tensor:
    return ((h + zeros).relu() @ p.v + zeros).relu()


def twice(h: Tensor, p) -> Tensor:
    same = torch.eye(4)
    return (h @ (p.v + same)).relu() @ (p.u @ (p.u.mT @ p.u + same))


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
    flat(
        "zeros that two layers share",
        lambda h, p: shared(torch.zeros(4), h, p),
        4,
        4,
        v=(4, 4),
    ),
    flat("identity matrix", lambda h, p: h @ (p.v + torch.eye(4)), 4, v=(4, 4)),
    flat("identity matrix twice", twice, 4, 4, v=(4, 4), u=(4, 4)),
    flat("ones that are summed up", lambda h, p: h * torch.ones(4).cumsum(0)),
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
    image("channel_shuffle", lambda h, p: F.channel_shuffle(h, 2) * p.a, 4, a=(4, 1, 1)),
)

JOIN = (
    flat("cat", lambda h, p: torch.cat([h, h @ p.v], 1) @ p.u, 3, 4, 4, v=(4, 3), u=(7, 4)),
    flat("cat with itself", lambda h, p: torch.cat([h, h], 1) @ p.u, 4, 4, u=(8, 4)),
    flat("stack", lambda h, p: torch.stack([h, h.relu()], 1).sum(1), 4),
    flat("chunk", lambda h, p: torch.cat(h.chunk(2, 1)[::-1], 1), 2, 2),
    flat("chunk and add", lambda h, p: sum((h @ p.v).chunk(2, 1)), 4, 4, v=(4, 8)),
    flat("split", lambda h, p: (h @ p.v).split([4, 3, 1], 1)[0], 3, 4, 4, v=(4, 8)),
    flat("unbind elsewhere", lambda h, p: sum((h[:, None] * p.a).unbind(1)), 4, a=(3, 1)),
    flat("slice", lambda h, p: (h @ p.v)[:, 2:6], 4, 4, 4, v=(4, 8)),
    flat("strided slice", lambda h, p: (h @ p.v)[:, ::2], 4, 4, v=(4, 8)),
    flat("strided slice of one", lambda h, p: (h @ p.v)[:, 3:4:2] * h, 3, 4, v=(4, 4)),
    flat("narrow", lambda h, p: (h @ p.v).narrow(1, 1, 4), 4, 4, 4, v=(4, 8)),
    flat("select", lambda h, p: h * (h @ p.v)[:, 1:2], 3, 4, v=(4, 4)),
    flat("pad", lambda h, p: F.pad(h[:, 1:3], (1, 1)), 2, 2, 2),
    flat("pad wide", lambda h, p: F.pad(h, (2, 3)) @ p.u, 2, 3, 4, 4, u=(9, 4)),
    flat("crop by padding", lambda h, p: F.pad(h @ p.v, (-1, -2)), 3, 4, 4, v=(4, 7)),
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
