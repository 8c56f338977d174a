"""Small networks with views, layers and orders that the tables do not have.

For `test_corrupted_rules.py`; what counts is that a wrong rule shows, not the groups' sizes.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from tests.symmetry.rules.case import Case, flat, image

aten = torch.ops.aten


def recurrent(kind: str, gates: int, **more: tuple[int, ...]) -> Case:
    """One layer over three steps, its last state beside its outputs."""

    def function(p, x: Tensor) -> Tensor:
        params = [p.input, p.hidden, p.bias, p.shift]
        start = x.new_zeros(1, x.shape[0], 4)
        state = (start, start) if kind == "lstm" else start
        ways = (True, 1, 0.0, False, False, True)
        outputs = getattr(torch, kind)(x, state, params, *ways)
        return (outputs[0].sum(1) + outputs[1][0]) @ p.out

    rows = 4 * gates
    shapes = {"input": (rows, 3), "hidden": (rows, 4), "bias": (rows,), "shift": (rows,)}
    return Case(kind, function, shapes | {"out": (4, 2)} | more, (3, 3), ())


def cell(kind: str, gates: int) -> Case:
    """Two steps of one cell."""

    def function(p, x: Tensor) -> Tensor:
        state = x @ p.start
        for _ in range(2):
            state = getattr(torch, kind)(x, state, p.input, p.hidden, p.bias, p.shift)
        return state @ p.out

    rows = 4 * gates
    shapes = {"input": (rows, 3), "hidden": (rows, 4), "bias": (rows,), "shift": (rows,)}
    return Case(kind, function, shapes | {"start": (3, 4), "out": (4, 2)}, (3,), ())


SHAPES = (
    flat("arange", lambda h, p: h + aten.arange(4)),
    flat(
        "eye", lambda h, p: (h[:, :, None] * (aten.eye(4) + 0.3) * p.a).relu().sum(1), 4, a=(4, 4)
    ),
    flat("eye that is not square", lambda h, p: h + (p.a @ aten.eye.m(3, 4)), a=(3,)),
    flat(
        "meshgrid",
        lambda h, p: h @ (torch.meshgrid(p.a, p.b, indexing="ij")[0] * p.c),
        4,
        4,
        a=(4,),
        b=(4,),
        c=(4, 4),
    ),
    flat(
        "meshgrid by columns",
        lambda h, p: h @ (torch.meshgrid(p.a, p.b, indexing="xy")[0] * p.c),
        4,
        4,
        a=(4,),
        b=(4,),
        c=(4, 4),
    ),
    flat(
        "broadcast_tensors",
        lambda h, p: (torch.broadcast_tensors(h[:, :, None], p.a)[0] * p.b).relu().sum(2),
        4,
        a=(4, 3),
        b=(4, 3),
    ),
    flat("atleast_2d", lambda h, p: torch.atleast_2d(p.a) * h, 4, a=(4,)),
    image(
        "col2im",
        lambda h, p: F.fold(p.a @ F.unfold(h, 2, stride=2), (4, 4), 2, stride=2) * p.b,
        4,
        4,
        a=(16, 16),
        b=(4, 4, 4),
    ),
    image(
        "pixel_shuffle and scaled",
        lambda h, p: F.pixel_shuffle(F.conv2d(h, p.v), 2) * p.a,
        4,
        4,
        v=(16, 4, 1, 1),
        a=(8, 8),
    ),
    image(
        "transposed and scaled",
        lambda h, p: F.conv_transpose2d(h.relu(), p.v, p.b, 2) * p.a,
        4,
        4,
        v=(4, 4, 2, 2),
        b=(4,),
        a=(8, 8),
    ),
    flat(
        "windows",
        lambda h, p: ((h @ p.v).unfold(1, 3, 3) * p.a).sum(2) @ p.b,
        4,
        3,
        2,
        v=(4, 6),
        a=(2, 3),
        b=(2, 4),
    ),
    flat(
        "windows that overlap",
        lambda h, p: (h @ p.v).unfold(1, 2, 1)[:, :, 0] @ p.b,
        4,
        v=(4, 5),
        b=(4, 4),
    ),
    Case(
        "as_strided",
        lambda p, x: (p.table.as_strided((2, 4), (8, 2)) * (x @ p.w)[:, None]).sum(1) @ p.out,
        {"w": (3, 4), "table": (2, 8), "out": (4, 2)},
        (3,),
        (4,),
    ),
    Case(
        "as_strided as a view",
        lambda p, x: (p.table.as_strided((4, 2), (2, 1)) * (x @ p.w)[:, :, None]).sum(2) @ p.out,
        {"w": (3, 4), "table": (8,), "out": (4, 2)},
        (3,),
        (4, 2),
    ),
    flat("unbind", lambda h, p: (h[:, None] * p.a).unbind(1)[1] + h, 4, a=(3, 4)),
    flat("unbind over hidden units", lambda h, p: h * h.unbind(1)[1][:, None]),
)

LAYERS = (
    flat(
        "native_batch_norm",
        lambda h, p: aten._native_batch_norm_legit_no_training(h, p.c, p.d, p.a, p.var, 0.1, 1e-5)[
            0
        ],
        4,
        a=(4,),
        var=(4,),
        c=(4,),
        d=(4,),
    ),
    flat(
        "weight_norm",
        lambda h, p: F.linear(h, torch._weight_norm(p.v, p.g, 0)),
        4,
        4,
        v=(4, 4),
        g=(4, 1),
    ),
    flat("norm_except_dim", lambda h, p: h * torch.norm_except_dim(p.v, 2, 0)[:, 0], 4, v=(4, 3)),
    flat("native_dropout", lambda h, p: aten.native_dropout(h, 0.5, False)[0], 4),
    flat("copy", lambda h, p: aten.copy(torch.zeros_like(h), p.a * h), 4, a=(4,)),
    flat("copy that stretches", lambda h, p: aten.copy(h, p.a) * h, 4, a=(4,)),
    flat("in the order of size", lambda h, p: h + h.sort(1).values),
    flat("places in the order of size", lambda h, p: h.sort(1).indices * 0.3 + h),
    flat("diff", lambda h, p: torch.diff(h, prepend=h @ p.a), a=(4, 1)),
    flat(
        "diff elsewhere",
        lambda h, p: torch.diff(h[:, None] * p.a, dim=1, append=(h @ p.b)[:, None]).square().sum(1),
        4,
        a=(3, 1),
        b=(4, 4),
    ),
    flat("fourier", lambda h, p: torch.fft.fft(h).abs() + h),
    flat(
        "cumsum along a layer",
        lambda h, p: (h[:, None] * p.a).cumsum(1).square().sum(1),
        4,
        a=(5, 1),
    ),
    recurrent("gru", 3),
    recurrent("rnn_tanh", 1),
    cell("gru_cell", 3),
    cell("rnn_tanh_cell", 1),
)
