"""Experts that are told by rows: hidden units permute per expert as long as rows stay apart.

The grouped product is an operation of this file that takes every precision; its rule and what it
runs through are those of torch's. What is derived is compared with all orders of all hidden
units of a tiny network, one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import permutations, product

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from engine.errors import ProofError
from engine.program import Program, capture
from engine.program.pt2.written import grouped_product
from engine.symmetry import derive_symmetry, nesting, prove, spaces
from engine.symmetry.axes import Expression
from engine.symmetry.rules import RULES, Call, Value
from engine.symmetry.spaces import RUNS
from engine.symmetry.taps import taps
from engine.symmetry.told import Told
from tests.symmetry.tiny import Shapes, Tiny

EXPERTS, WIDTH, BATCH = 2, 3, 9
INTO, OUT = {"w": (EXPERTS, 4, WIDTH)}, {"v": (EXPERTS, WIDTH, 2)}
SHAPES: Shapes = {"g": (4, EXPERTS)} | INTO | OUT
SECOND: Shapes = {"w2": (EXPERTS, 4, WIDTH)}

grouped = torch.library.custom_op("basinscope_test::grouped", grouped_product, mutates_args=())


@grouped.register_fake
def _(rows: Tensor, weight: Tensor, ends: Tensor) -> Tensor:
    return rows.new_empty(rows.shape[0], weight.shape[2])


@pytest.fixture(autouse=True)
def _known(monkeypatch):
    monkeypatch.setitem(RULES, "basinscope_test.grouped", renamed)
    monkeypatch.setitem(RUNS, "basinscope_test::grouped", spaces._grouped_product)


def renamed(call):
    """The rule of the grouped product, under the names of its own arguments."""
    call.arguments["input"], call.arguments["offs"] = call.arguments["rows"], call.arguments["ends"]
    return RULES["_grouped_mm"](call)


def sorted_rows(p, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the rows in order of their expert, where each expert's end, and what undoes it."""
    chosen = (x @ p.g).argmax(-1)
    order = chosen.argsort(stable=True)
    return x[order], F.one_hot(chosen, EXPERTS).sum(0).cumsum(0), order.argsort()


def elsewhere(ends: Tensor) -> Tensor:
    """Return ends at which the first expert has half of its rows."""
    return torch.cat([ends[:1] // 2, ends[1:]])


def experts(between: Callable[..., Tensor] = lambda h, p: h) -> Callable[..., Tensor]:
    """Return a mixture whose hidden units go through a function."""

    def function(p, x: Tensor) -> Tensor:
        rows, ends, back = sorted_rows(p, x)
        hidden = between(grouped(rows, p.w, ends).sigmoid(), p)
        return grouped(hidden, p.v, ends)[back]

    return function


def gated(p, x: Tensor) -> Tensor:
    rows, ends, back = sorted_rows(p, x)
    hidden = grouped(rows, p.w, ends).sigmoid() * grouped(rows, p.w2, ends)
    return grouped(hidden, p.v, ends)[back]


def scored_first(p, x: Tensor) -> Tensor:
    """The rows' scores come first in the product, so that the result has their axis."""
    rows, ends, back = sorted_rows(p, x)
    scores = (rows @ p.g).softmax(-1).amax(-1, keepdim=True)
    return grouped(scores * grouped(rows, p.w, ends).sigmoid(), p.v, ends)[back]


def two_mixtures(p, x: Tensor) -> Tensor:
    """Two sets of experts, each with ends of its own."""
    rows, ends, back = sorted_rows(p, x)
    first = grouped(grouped(rows, p.w, ends).sigmoid(), p.v, ends)
    later = elsewhere(ends)
    return (first + grouped(grouped(rows, p.w2, later).sigmoid(), p.v2, later))[back]


def other_ends(p, x: Tensor) -> Tensor:
    """The second product divides the rows elsewhere."""
    rows, ends, back = sorted_rows(p, x)
    return grouped(grouped(rows, p.w, ends).sigmoid(), p.v, elsewhere(ends))[back]


def twice(p, x: Tensor) -> Tensor:
    """The same experts, with rows that are divided in two ways, added up."""
    rows, ends, back = sorted_rows(p, x)
    hidden = grouped(rows, p.w, ends).sigmoid() + grouped(rows, p.w, elsewhere(ends))
    return grouped(hidden, p.v, ends)[back]


def smoothed(h: Tensor, p) -> Tensor:
    return h * F.avg_pool1d(h.t()[None], 3, 1, 1)[0].t()


@dataclass(frozen=True)
class Net:
    """A mixture, and the parameters with an axis of hidden units: name → that axis."""

    function: Callable[..., Tensor]
    more: Shapes = field(default_factory=dict)
    hidden: Mapping[str, int] = field(default_factory=lambda: {"w": 2, "v": 1})

    def module(self) -> Tiny:
        return Tiny(self.function, SHAPES | self.more).eval()

    def program(self) -> Program:
        """Trace it; that rows of all samples meet is what some of the networks are about."""
        return capture(self.module(), torch.randn(BATCH, 4), hollow=True)


PER_EXPERT = {
    "plain": Net(experts()),
    "gated": Net(gated, SECOND, {"w": 2, "w2": 2, "v": 1}),
    "scores first": Net(scored_first),
    "normalised by row": Net(experts(lambda h, p: F.layer_norm(h, (WIDTH,)))),
    "one scale": Net(experts(lambda h, p: h * p.s), {"s": (1,)}),
    "two mixtures": Net(two_mixtures, SECOND | {"v2": (EXPERTS, WIDTH, 2)}),
    "the largest of each row": Net(experts(lambda h, p: h * h.amax(1, keepdim=True))),
}
"""Networks whose hidden units may stand in an order of their own in each expert."""

SHARED = {
    "a bias for all experts": Net(
        experts(lambda h, p: h + p.b), {"b": (WIDTH,)}, {"w": 2, "v": 1, "b": 0}
    ),
    "rows turned round": Net(experts(lambda h, p: h + h.flip(0))),
    "rows added up in order": Net(experts(lambda h, p: h.cumsum(0))),
    "rows shifted": Net(experts(lambda h, p: h * h.roll(1, 0))),
    "rows sorted": Net(experts(lambda h, p: h + h.sort(0).values)),
    "rows smoothed": Net(experts(smoothed)),
    "a softmax over rows": Net(experts(lambda h, p: h.softmax(0))),
    "the mean of all rows": Net(experts(lambda h, p: h * h.mean(0))),
    "products of rows": Net(experts(lambda h, p: (h @ h.t()).tanh() @ h)),
    "rows picked anew": Net(experts(lambda h, p: h[(h.sum(1) > 1.5).int().argsort()])),
    "other ends": Net(other_ends),
    "the same experts twice": Net(twice),
}
"""Networks whose hidden units have one order for all experts."""


def working(net: Net) -> set[tuple[tuple[int, ...], ...]]:
    """Return the orders of hidden units, one per expert, that leave the function as it is.

    All orders are tried. What is the same for all experts can only follow one order.
    """
    module = net.module().double()
    x = torch.randn(BATCH, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    state = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    found = set()
    with torch.no_grad():
        expected = module(x)
        for orders in product(permutations(range(WIDTH)), repeat=EXPERTS):
            for name, axis in net.hidden.items():
                old = state[name]
                new = old.clone()
                for expert, order in enumerate(orders):
                    if axis:
                        new[expert] = old[expert].index_select(axis - 1, torch.tensor(order))
                    else:
                        new = old[list(order)]
                module.get_parameter(name).copy_(new)
            if torch.allclose(module(x), expected, rtol=1e-9, atol=1e-9):
                found.add(orders)
    return found


@pytest.mark.parametrize("name", PER_EXPERT)
def test_hidden_units_have_an_order_per_expert(name):
    net = PER_EXPERT[name]
    assert len(working(net)) == 6**EXPERTS
    program = net.program()
    symmetry = derive_symmetry(program)
    assert {(g.copies, g.size, g.within) for g in symmetry.groups} == {(EXPERTS, WIDTH, None)}
    proof = prove(program, symmetry, dict(net.module().state_dict()), batch=BATCH, trials=6)
    assert proof.relative < 1e-12


@pytest.mark.parametrize("name", SHARED)
def test_hidden_units_have_one_order_where_rows_meet(name):
    net = SHARED[name]
    assert working(net) == {(order,) * EXPERTS for order in permutations(range(WIDTH))}
    program = net.program()
    symmetry = derive_symmetry(program)
    assert [(g.copies, g.size) for g in symmetry.groups] == [(1, WIDTH)]
    proof = prove(program, symmetry, dict(net.module().state_dict()), batch=BATCH, trials=6)
    assert proof.relative < 1e-12


def enter_alike(told: Told, rows: Expression, outer: Expression, ends: object) -> Expression:
    """Take all ends for the same."""
    del ends
    return ENTER(told, rows, outer, "any")


def with_rows_kept(call: Call) -> Value:
    """A gather of rows whose result stands where they were."""
    x = call.axes("self")
    return x if len(x) == 2 and x[0].size == call.shape[0] else INDEX(call)


ENTER, INDEX = Told.enter, RULES["index"]
WRONG: dict[str, tuple[str, Callable[[pytest.MonkeyPatch], None]]] = {
    "all ends are alike": (
        "other ends",
        lambda patch: patch.setattr(Told, "enter", enter_alike),
    ),
    "one of two ends decides": (
        "the same experts twice",
        lambda patch: patch.setattr(Told, "enter", enter_alike),
    ),
    "ops may read along rows": (
        "rows turned round",
        lambda patch: patch.setattr(nesting._Search, "touch", lambda self, contact: None),
    ),
    "gathers leave rows in place": (
        "rows picked anew",
        lambda patch: patch.setitem(RULES, "index", with_rows_kept),
    ),
}


@pytest.mark.parametrize(("name", "corrupt"), WRONG.values(), ids=WRONG)
def test_what_takes_rows_together_wrongly_is_caught(monkeypatch, name, corrupt):
    net = SHARED[name]
    corrupt(monkeypatch)
    program = net.program()
    symmetry = derive_symmetry(program)
    assert [group.copies for group in symmetry.groups] == [EXPERTS]
    with pytest.raises(ProofError, match="a permutation changed the outputs"):
        prove(program, symmetry, dict(net.module().state_dict()), batch=BATCH, trials=6)


def test_sorted_rows_are_no_taps():
    """Two models sort their rows differently: none of one belongs to the same one of the other."""

    def function(p, x: Tensor) -> Tensor:
        return experts()(p, (x @ p.e).sigmoid())

    program = Net(function, {"e": (4, 4)}).program()
    found = taps(program)
    nodes = {node.name: str(node.target) for node in program.graph_module.graph.nodes}
    told = {name: [nodes[tap.node] for tap in own] for name, own in found.items()}
    assert told == {"e": ["aten.sigmoid.default"], "w": []}
