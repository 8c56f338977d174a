"""Gathers by constant runs are slices, all others stay, and nothing computes otherwise."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from engine.program import Program, capture, read_program, save_program
from engine.symmetry import derive_symmetry, prove

GATHERS = ("aten.index.Tensor", "aten._unsafe_index.Tensor", "aten.index_select.default")
WIDTH = 7
Read = Callable[[nn.Module, Tensor], Tensor]


class Reading(nn.Module):
    """Reads some of seven hidden units and weights them."""

    def __init__(self, read: Read, width: int) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(3, WIDTH), nn.Linear(width, 2)
        self.register_buffer("numbers", torch.tensor([3, 4]))
        self.register_buffer("odd", torch.tensor([False, True] * 3 + [False]))
        self.read = read

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.read(self, self.first(x).tanh()))


class Readings(nn.Module):
    """All of them beside one another."""

    def __init__(self, reads: Mapping[str, tuple[Read, int]]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.each = nn.ModuleDict({name: Reading(*one) for name, one in reads.items()})

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([one(x) for one in self.each.values()], 1)


def turned(_: nn.Module, h: Tensor) -> Tensor:
    """Read out of what lies in memory the other way round, and view it as it lies."""
    wide = (h[:, :, None, None] * torch.ones(2, 3)).transpose(2, 3)
    return wide[:, [4, 5]].transpose(2, 3).view(-1, 12)


RUNS: dict[str, tuple[Read, int]] = {
    "one from behind": (lambda m, h: h[:, [-2]], 1),
    "some from behind": (lambda m, h: h[:, [-3, -2, -1]], 3),
    "from both ends": (lambda m, h: h[:, [3, -3]], 2),
    "all": (lambda m, h: h[:, list(range(WIDTH))], 7),
    "a buffer": (lambda m, h: h[:, m.numbers], 2),
    "counted": (lambda m, h: h[:, torch.arange(2, 5)], 3),
    "counted from nought": (lambda m, h: h[:, torch.arange(4)], 4),
    "index_select": (lambda m, h: h.index_select(-1, torch.tensor([1, 2, 3])), 3),
    "by named arguments": (
        lambda m, h: torch.ops.aten.index_select(h, dim=1, index=m.numbers),
        2,
    ),
    "viewed afterwards": (lambda m, h: h[:, None, [4, 5]].view(-1, 2), 2),
}
OTHERS: dict[str, tuple[Read, int]] = {
    "backwards": (lambda m, h: h[:, [4, 3]], 2),
    "a gap": (lambda m, h: h[:, [1, 3]], 2),
    "twice": (lambda m, h: h[:, [1, 1, 2]], 3),
    "over the end": (lambda m, h: h[:, [-1, 0]], 2),
    "steps of two": (lambda m, h: h[:, torch.arange(1, 6, 2)], 3),
    "numbers in two dimensions": (lambda m, h: h[:, torch.tensor([[1, 2]])].flatten(1), 2),
    "where a mask says": (lambda m, h: h[:, m.odd.int().topk(3).indices], 3),
    "two indices": (lambda m, h: h.view(-1, 1, WIDTH)[:, [0, 0], [1, 2]], 2),
    "of a number": (
        lambda m, h: h.flip(1) * h.new_tensor(3.0).index_select(0, m.numbers[:1] - 3),
        7,
    ),
}


def gathers(program: Program) -> int:
    return sum(str(node.target) in GATHERS for node in program.graph_module.graph.nodes)


def traced(reads: Mapping[str, tuple[Read, int]]) -> tuple[nn.Module, Program, Tensor]:
    module = Readings(reads).eval()
    x = torch.randn(4, 3, generator=torch.Generator().manual_seed(1))
    program = capture(module, x)
    with torch.no_grad():
        assert torch.equal(program(dict(module.state_dict()), x), module(x))
    return module, program, x


def sizes(program: Program, name: str) -> list[int]:
    """Return the sizes of the groups of one of the readings."""
    groups = derive_symmetry(program).groups
    own = [g for g in groups if g.occurrences[0].parameter.startswith(f"each.{name}.")]
    return sorted(group.size for group in own)


def test_runs_are_slices_that_compute_the_same():
    module, program, _ = traced(RUNS)
    assert gathers(program) == 0
    for name, (_, width) in RUNS.items():
        read_and_unread = (width, WIDTH - width)
        assert sizes(program, name) == sorted(n for n in read_and_unread if n > 1), name
    proof = prove(program, derive_symmetry(program), dict(module.state_dict()))
    assert proof.relative < 1e-12


def test_what_is_no_constant_run_stays():
    _, program, _ = traced(OTHERS)
    assert gathers(program) == len(OTHERS)
    assert derive_symmetry(program).groups == ()


def test_what_lies_otherwise_in_memory_stays():
    _, program, _ = traced({"turned": (turned, 12)})
    assert gathers(program) == 1


def test_a_file_is_read_alike(tmp_path):
    module, _, x = traced({"run": RUNS["some from behind"]})
    save_program(module, x, tmp_path / "run.pt2")
    program, params = read_program(tmp_path / "run.pt2")
    assert gathers(program) == 0
    with torch.no_grad():
        assert torch.equal(program(params, x), module(x))
    assert sizes(program, "run") == [3, 4]
