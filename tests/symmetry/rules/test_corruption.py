"""Break a rule, and the proof must fail: one wrong rule per row."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch.nn import functional as F

from engine.errors import ProofError
from engine.program import Program
from engine.symmetry import derive_symmetry, prove
from engine.symmetry.axes import ONE
from engine.symmetry.rules import RULES, Axes, Call, Value
from tests.symmetry.tiny import Tiny, program_of


def untied(name: str, last: str) -> Callable[[Call], Value]:
    """A rule that hands on the axes of its inputs and ties nothing."""

    def rule(call: Call) -> Value:
        x = call.axes(name)
        return (*x[:-1], call.axes(last)[0]) if last else x

    return rule


def free_result(call: Call) -> Value:
    """A rule that forgets everything."""
    return call.free(call.shape)


def conv_untied(call: Call) -> Value:
    x, weight = call.axes("input"), call.axes("weight")
    return (x[0], weight[0], *call.free(call.shape[2:]))


def transposed_untied(call: Call) -> Value:
    return (call.axes("input")[0], call.axes("weight")[1], *call.free(call.shape[2:]))


def reversed_cat(call: Call) -> Value:
    first, *others = call.many("tensors")
    parts = [axes[1] for axes in reversed([first, *others])]
    return (first[0], call.algebra.concat([call.algebra.resolve(part) for part in parts]))


def swapped_view(call: Call) -> Value:
    """(C, positions) flattened as if it were (positions, C)."""
    x: Axes = call.axes("self")
    rest = [call.algebra.resolve(axis) for axis in (*x[2:], x[1])]
    return (x[0], call.algebra.product(rest)) if len(call.shape) == 2 else x


def first_part(call: Call) -> Value:
    """A slice that takes its stretch from the front, wherever it lies."""
    x, size = call.axes("self"), call.shape[1]
    return (x[0], call.algebra.segment(x[1], 0, size)) if size != x[1].size else x


def pad_after(call: Call) -> Value:
    """Padding that is all put behind."""
    x = call.axes("self")
    new = call.free([call.shape[1] - x[1].size])
    return (x[0], call.algebra.concat([call.algebra.resolve(x[1]), *new]), *x[2:])


def looked_up_freely(call: Call) -> Value:
    return (*call.axes("indices"), call.axes("weight")[1])


def kept(call: Call) -> Value:
    """A reduction that thinks its result has the first axis left out."""
    x = call.axes("self")
    return (x[0], x[2]) if len(x) == 3 else (x[0], ONE)


LINEAR = {"w": (4, 3), "out": (4, 2)}
ROWS = (
    ("linear", untied("input", "weight"), lambda p, x: F.linear(F.linear(x, p.w), p.v.t()), {}),
    ("matmul", lambda call: (*call.axes("self")[:-1], call.axes("other")[-1]),
     lambda p, x: (x @ p.w.t()) @ p.v, {}),
    ("add.Tensor", lambda call: call.axes("self"), lambda p, x: (x @ p.w.t() + p.b) @ p.v, {}),
    ("mul.Tensor", lambda call: call.axes("self"), lambda p, x: (x @ p.w.t() * p.b) @ p.v, {}),
    ("layer_norm", untied("input", ""),
     lambda p, x: F.layer_norm(x @ p.w.t(), (4,), p.b) @ p.v, {}),
    ("batch_norm", untied("input", ""),
     lambda p, x: F.batch_norm(x @ p.w.t(), p.b, p.var) @ p.v, {"var": (4,)}),
    ("cat", reversed_cat, lambda p, x: torch.cat([x @ p.w.t(), x @ p.u], 1) @ p.y,
     {"u": (3, 4), "y": (8, 2)}),
    ("slice", first_part, lambda p, x: (x @ p.u)[:, 2:6] @ p.v, {"u": (3, 6)}),
    ("pad", pad_after, lambda p, x: F.pad(x @ p.w.t(), (2, 0)) @ p.y, {"y": (6, 2)}),
    ("embedding", looked_up_freely,
     lambda p, x: F.embedding((2 * x.abs()).clamp(max=5).long(), p.table).sum(1) @ p.v,
     {"table": (6, 4)}),
    ("cumsum", untied("self", ""), lambda p, x: (x @ p.w.t()).cumsum(1) @ p.v, {}),
    ("flip", untied("self", ""), lambda p, x: (x @ p.w.t()).flip(1) @ p.v, {}),
    ("transpose", lambda call: call.axes("self"),
     lambda p, x: ((x @ p.w.t())[:, :, None] * p.square).transpose(1, 2).relu().sum(2) @ p.v,
     {"square": (4, 4)}),
    ("permute", lambda call: call.axes("self"),
     lambda p, x: ((x @ p.w.t())[:, :, None] * p.square).permute(0, 2, 1).relu().sum(2) @ p.v,
     {"square": (4, 4)}),
    ("sum", lambda call: call.axes("self")[:2],
     lambda p, x: ((x @ p.w.t())[:, :, None] * p.square).relu().sum(1) @ p.v, {"square": (4, 4)}),
    ("index", lambda call: call.axes("self"), lambda p, x: (x @ p.w.t())[:, [1, 0, 3, 2]] @ p.v,
     {}),
    ("select", lambda call: call.axes("self")[:1],
     lambda p, x: ((x @ p.w.t())[:, 1:] @ p.v[1:]) * (x @ p.w.t()).select(1, 2)[:, None], {}),
    ("scaled_dot_product_attention", free_result,
     lambda p, x: F.scaled_dot_product_attention(x[:, None] @ p.u, p.k, p.k)[:, 0] @ p.y,
     {"u": (3, 5), "k": (1, 6, 5), "y": (5, 2)}),
)  # fmt: skip

IMAGES = (
    ("conv2d", conv_untied,
     lambda p, x: F.conv2d(F.conv2d(x, p.w).relu(), p.v).flatten(1), {"v": (2, 4, 2, 2)}),
    ("conv_transpose2d", transposed_untied,
     lambda p, x: F.conv_transpose2d(F.conv2d(x, p.w).relu(), p.v).flatten(1),
     {"v": (4, 2, 2, 2)}),
    ("flatten", swapped_view, lambda p, x: F.conv2d(x, p.w).flatten(1) @ p.v, {"v": (36, 2)}),
    ("group_norm", untied("input", ""),
     lambda p, x: F.conv2d(F.group_norm(F.conv2d(x, p.w), 2).relu(), p.v).flatten(1),
     {"v": (2, 4, 1, 1)}),
)  # fmt: skip


def proved(program: Program, module: Tiny) -> None:
    symmetry = derive_symmetry(program)
    prove(program, symmetry, dict(module.state_dict()), trials=4)


@pytest.mark.parametrize(
    ("op", "wrong", "function", "shapes", "inputs"),
    [(*row[:3], {"w": (4, 3), "v": (4, 2), "b": (4,)} | row[3], (3,)) for row in ROWS]
    + [(*row[:3], {"w": (4, 2, 3, 3)} | row[3], (2, 5, 5)) for row in IMAGES],
    ids=[row[0] for row in (*ROWS, *IMAGES)],
)
def test_a_wrong_rule_is_caught_by_the_proof(monkeypatch, op, wrong, function, shapes, inputs):
    module = Tiny(function, shapes)
    program = program_of(module, inputs)
    proved(program, module)
    monkeypatch.setitem(RULES, op, wrong)
    with pytest.raises(ProofError, match="a permutation changed the outputs"):
        proved(program, module)
