"""Every rule is broken in every way that takes a constraint from it, and the proof sees it.

Two kinds of wrong rules: one that forgets what its op was given (its outputs have axes of
their own), and for each constraint that a rule asks for (two axes unified, an axis fixed, an
output fixed) one that leaves out this constraint alone. Each is tried on small networks that
call the op. A wrong rule either changes nothing there (the constraint is asked for elsewhere
as well) or derives a symmetry that the proof refuses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import pytest
import torch

from engine.errors import ProofError
from engine.program import Program, capture
from engine.symmetry import Symmetry, derive_symmetry, prove, walk
from engine.symmetry.axes import Expression
from engine.symmetry.rules import RULES, Call, Rule, Value
from engine.symmetry.rules.pointwise import pointwise
from tests.symmetry.grammar.nets_of_layers import LAYERS, SHAPES
from tests.symmetry.grammar.nets_of_products import GATHER, PRODUCTS
from tests.symmetry.grammar.recorder import record
from tests.symmetry.rules.case import Case
from tests.symmetry.rules.table import CASES
from tests.symmetry.tiny import Tiny

HARMLESS = {
    "constant": "one value everywhere permutes in any way: less than nothing cannot be asked for",
    "reads_values": "never covers a call",
    "grouped_product": "torch's op takes no float64 on a CPU, so that no proof runs",
}
"""Rules that no corruption makes wrong, and why."""

SYMMETRIC_AFTER_ALL = {
    "transposed": "the mean over positions that a kernel writes one by one",
    "transposed grouped": "the mean over positions that a kernel writes one by one",
    "pixel_shuffle": "the mean over positions",
    "unbind elsewhere": "the sum of what was taken apart",
    "fused projections": "a single position attends to itself, whatever its query and key",
    "cumsum elsewhere": "the last one is the sum",
    "sort over hidden units": "sorted values do not depend on the order before",
    "topk": "sorted values do not depend on the order before",
}
"""Networks that are symmetric where the rule that they are made for does not look, and why."""

NETS = (*(case for cases in CASES.values() for case in cases), *GATHER, *PRODUCTS, *SHAPES, *LAYERS)
TRIALS, BATCH = 6, 5
MOST_NETS = 16
"""As many networks are tried for a rule, spread over all that call it."""


@dataclass(frozen=True)
class Net:
    """A case, traced, with the rules that its derivation calls."""

    case: Case
    module: Tiny
    program: Program
    symmetry: Symmetry
    rules: frozenset[Rule]

    def is_caught(self) -> bool:
        """Derive once more, with whatever rules there are now: does the proof refuse it?

        Raises:
            AssertionError: the symmetry is another one and the proof holds.
        """
        symmetry = derive_symmetry(self.program)
        if moves(symmetry) == moves(self.symmetry):
            return False
        with pytest.raises(ProofError, match="a permutation changed the outputs"):
            params = dict(self.module.state_dict())
            prove(self.program, symmetry, params, trials=TRIALS, batch=BATCH)
        return True


def moves(symmetry: Symmetry) -> set[frozenset[object]]:
    """Return what every group moves; whether it is nested is not looked at."""
    return {
        frozenset(replace(occurrence, under=None) for occurrence in group.occurrences)
        for group in symmetry.groups
    }


@cache
def nets() -> tuple[Net, ...]:
    """Trace all cases."""
    return tuple(_net(case) for case in NETS)


def _net(case: Case) -> Net:
    module = Tiny(case.function, case.shapes).eval()
    x = torch.randn(BATCH, *case.inputs, generator=torch.Generator().manual_seed(2))
    try:
        program = record(module, x)
    except NotImplementedError:
        program = capture(module, x)
    used: set[Rule] = set()
    find = walk._find_rule

    def noting(target: object) -> Rule | None:
        found = find(target)
        used.add(found) if found else None
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(walk, "_find_rule", noting)
        symmetry = derive_symmetry(program)
    return Net(case, module, program, symmetry, frozenset(used))


class Loose:
    """An algebra that leaves out one of the constraints asked for through it."""

    def __init__(self, algebra: object, dropped: int) -> None:
        self.algebra, self.dropped, self.asked = algebra, dropped, 0

    def __getattr__(self, name: str) -> object:
        return getattr(self.algebra, name)

    def unify(self, left: Expression, right: Expression) -> None:
        if not self._drops():
            self.algebra.unify(left, right)

    def fix(self, axis: Expression, reason: str) -> None:
        if not self._drops():
            self.algebra.fix(axis, reason)

    def fixed(self, size: int, reason: str) -> Expression:
        return self.algebra.free(size) if self._drops() else self.algebra.fixed(size, reason)

    def _drops(self) -> bool:
        self.asked += 1
        return self.asked - 1 == self.dropped


def lacking(own: Rule, dropped: int, most: list[int]) -> Rule:
    """Return a rule without one of its constraints; note how many it has."""

    def wrong(call: Call) -> Value:
        loose = Loose(call.algebra, dropped)
        value = own(replace(call, algebra=loose))
        most.append(loose.asked)
        return value

    return wrong


def forgetful(call: Call) -> Value:
    """A rule whose outputs have axes of their own."""
    outputs = [call.free(shape) for shape in call.shapes]
    return outputs[0] if len(outputs) == 1 else outputs


def broken(patch: pytest.MonkeyPatch, own: Rule, wrong: Rule) -> None:
    """Put a wrong rule in the place of one."""
    for name, entered in list(RULES.items()):
        if entered is own:
            patch.setitem(RULES, name, wrong)
    if own is pointwise:
        patch.setattr(walk, "pointwise", wrong)


def tried(net: Net, own: Rule, wrong: Callable[[Call], Value]) -> bool:
    with pytest.MonkeyPatch.context() as patch:
        broken(patch, own, wrong)
        return net.is_caught()


@pytest.mark.parametrize(
    "own", dict.fromkeys((*RULES.values(), pointwise)), ids=lambda f: f.__name__
)
def test_a_rule_without_one_of_its_constraints_is_caught(own):
    calling = [
        net for net in nets() if own in net.rules and net.case.name not in SYMMETRIC_AFTER_ALL
    ]
    caught = 0
    for net in calling[:: 1 + len(calling) // MOST_NETS]:
        most = [0]
        caught += tried(net, own, forgetful)
        caught += tried(net, own, lacking(own, -1, most))
        for dropped in range(max(most)):
            caught += tried(net, own, lacking(own, dropped, most))
    assert caught or own.__name__ in HARMLESS, f"{len(calling)} networks call it, none tells"


def test_every_rule_that_is_called_harmless_exists():
    assert set(HARMLESS) <= {own.__name__ for own in RULES.values()}
