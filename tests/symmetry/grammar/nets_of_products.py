"""Small networks that gather, scatter and multiply in the ways that the tables do not.

For `test_corrupted_rules.py`; what counts is that a wrong rule shows, not the groups' sizes.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from tests.symmetry.rules.case import Case, flat, image

aten = torch.ops.aten
ORDER = torch.tensor([2, 0, 3, 1])


def numbers(h: Tensor, high: int) -> Tensor:
    """Turn hidden units into numbers below `high`."""
    return (3 * h.abs()).long().clamp(max=high - 1)


GATHER = (
    flat("gather", lambda h, p: h.gather(1, ORDER.expand(len(h), -1))),
    flat(
        "gather elsewhere",
        lambda h, p: (p.a * h[:, :, None]).gather(2, numbers(h, 3)[:, :, None])[:, :, 0],
        4,
        a=(4, 3),
    ),
    flat("scatter", lambda h, p: torch.zeros_like(h).scatter(1, ORDER.expand(len(h), -1), h)),
    flat(
        "scatter_add",
        lambda h, p: h.scatter_add(1, numbers(h @ p.a, 4), h @ p.b),
        a=(4, 5),
        b=(4, 5),
    ),
    flat(
        "scatter elsewhere",
        lambda h, p: (p.a * h[:, :, None]).scatter(2, numbers(h, 3)[:, :, None], h[:, :, None])[
            :, :, 1
        ],
        4,
        a=(4, 3),
    ),
    flat("index_add", lambda h, p: h.index_add(1, ORDER[:3], h @ p.a), a=(4, 3)),
    flat(
        "index_copy elsewhere",
        lambda h, p: (
            (h[:, None] * p.b)
            .index_copy(1, torch.tensor([2, 0]), (h @ p.a)[:, None].expand(-1, 2, -1))
            .square()
            .sum(1)
        ),
        4,
        a=(4, 4),
        b=(3, 1),
    ),
    flat("index_put", lambda h, p: h.t().index_put((ORDER[:2],), p.a[:, None]).t() + h, a=(2,)),
    flat(
        "index_put where a mask says",
        lambda h, p: h.index_put((h > 0.1 * p.a,), torch.tensor(0.3)),
        4,
        a=(4,),
    ),
    flat("one_hot", lambda h, p: (F.one_hot(numbers(h, 3), 3) * p.a).sum(-1) * h, 4, a=(4, 3)),
    flat(
        "one_hot of the classes",
        lambda h, p: (aten.one_hot(numbers(h, 3), 3).to(h.dtype) @ p.a) + h,
        4,
        a=(3,),
    ),
    flat("bucketize", lambda h, p: torch.bucketize(h, p.a).to(h.dtype), 4, a=(3,)),
    flat(
        "histogram",
        lambda h, p: h * (torch.histc(p.a * p.c, bins=4, min=-1, max=1) @ p.b),
        4,
        3,
        a=(3,),
        c=(3,),
        b=(4, 4),
    ),
    Case(
        "embedding_bag",
        lambda p, x: (
            F.embedding_bag(
                numbers(x, 5).flatten(),
                p.table,
                torch.arange(0, 3 * len(x), 3),
                mode="sum",
                per_sample_weights=None,
            )
            @ p.out
        ),
        {"table": (5, 4), "out": (4, 2)},
        (3,),
        (4,),
    ),
    image(
        "max_unpool2d",
        lambda h, p: F.max_unpool2d(*F.max_pool2d(h, 2, return_indices=True), 2) * p.a,
        4,
        a=(4, 1, 1),
    ),
    image(
        "unpool into a layer",
        lambda h, p: (
            F.max_unpool2d(
                F.max_pool2d(h, 2) * p.b, F.max_pool2d(h, 2, return_indices=True)[1], 2
            ).flatten(1)
            @ p.a
        )[:, :, None],
        4,
        a=(64, 4),
        b=(4, 2, 2),
    ),
    image(
        "grid_sampler",
        lambda h, p: (
            aten.grid_sampler(h, (p.grid * 1.5).expand(len(h), -1, -1, -1), 0, 0, False) * p.a
        ),
        4,
        grid=(1, 3, 2, 2),
        a=(4, 3, 2),
    ),
    image(
        "affine_grid",
        lambda h, p: (
            aten.grid_sampler(
                h,
                aten.affine_grid_generator(p.a.expand(len(h), -1, -1), [len(h), 4, 3, 3], False),
                0,
                0,
                False,
            )
            * p.b
        ),
        4,
        a=(1, 2, 3),
        b=(3, 3),
    ),
)

PRODUCTS = (
    flat(
        "cosine_similarity",
        lambda h, p: h * F.cosine_similarity(h, h @ p.a, 1)[:, None],
        4,
        a=(4, 4),
    ),
    flat(
        "pairwise_distance",
        lambda h, p: h * aten.pairwise_distance(h, p.a, 2.0, 1e-6, True),
        4,
        a=(4,),
    ),
    flat("cdist", lambda h, p: torch.cdist(h, p.a) @ p.b, 4, 3, 4, a=(3, 4), b=(3, 4)),
    flat(
        "bilinear",
        lambda h, p: F.bilinear(h, h @ p.b, p.a, p.c),
        4,
        3,
        4,
        a=(4, 4, 3),
        b=(4, 3),
        c=(4,),
    ),
    flat(
        "tensordot",
        lambda h, p: torch.tensordot(h[:, :, None] * p.b, p.a, ([1, 2], [1, 0])),
        4,
        3,
        4,
        a=(3, 4, 4),
        b=(4, 3),
    ),
    flat("inner", lambda h, p: torch.inner(h, p.a), 4, 4, a=(4, 4)),
    flat("linalg_vecdot", lambda h, p: h * torch.linalg.vecdot(h, h @ p.a)[:, None], 4, a=(4, 4)),
    flat("addr", lambda h, p: h @ torch.addr(p.a, p.b, p.c), 4, 4, a=(4, 4), b=(4,), c=(4,)),
    flat("trace", lambda h, p: h * torch.trace(p.a @ p.b), 4, 3, 3, a=(3, 4), b=(4, 3)),
    flat(
        "trace of what else permutes",
        lambda h, p: h * torch.trace(p.a * p.b),
        4,
        3,
        a=(3, 3),
        b=(3, 1),
    ),
    flat("diagonal", lambda h, p: torch.diagonal(h[:, :, None] * p.a, 0, 1, 2), 4, a=(4, 4)),
    flat(
        "diagonal beside the main one",
        lambda h, p: h * (torch.diagonal(p.a, 1) @ p.b),
        4,
        a=(4, 4),
        b=(3, 4),
    ),
    flat("diag_embed", lambda h, p: (torch.diag_embed(h) * p.a).sum(1), 4, a=(4, 4)),
)
