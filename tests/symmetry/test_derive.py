"""Derived groups against groups counted by hand and against brute force."""

from __future__ import annotations

from itertools import permutations, product
from math import factorial, prod

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.program import capture
from engine.symmetry import Permutation, derive_symmetry, prove
from tests.models import MODELS
from tests.symmetry import nets
from tests.symmetry.tiny import Tiny, derived, program_of, sizes


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_models_have_the_groups_counted_by_hand(model):
    module = model.module()
    program = capture(module, model.inputs())
    symmetry = derive_symmetry(program)
    assert sorted(group.size for group in symmetry.groups) == sorted(model.group_sizes)
    assert symmetry.report.ops_without_rule == ()
    assert prove(program, symmetry, dict(module.state_dict())).relative < 1e-12


IMAGE = torch.randn(2, 3, 32, 32)
SMALL = torch.randn(2, 2, 8, 8)
NETS = {
    "resnet50": (lambda: nets.DeepResNet(2), IMAGE, 37),
    "resnet50 of two groups": (lambda: nets.DeepResNet(4, (1, 1), 2), IMAGE, 9),
    "densenet": (nets.DenseNet, SMALL, 4),
    "mobilenet": (nets.MobileNet, SMALL, 3),
    "unet": (nets.UNet, SMALL, 5),
    "transformer": (nets.Attention, torch.randint(0, 11, (2, 5)), 5),
    "mixer": (nets.Mixer, SMALL, 3),
}


@pytest.mark.parametrize("name", NETS)
def test_real_networks_have_the_groups_counted_by_hand(name):
    build, inputs, count = NETS[name]
    torch.manual_seed(0)
    module = build().eval()
    program = capture(module, inputs)
    symmetry = derive_symmetry(program)
    assert len(symmetry.groups) == count
    assert symmetry.report.ops_without_rule == ()
    assert prove(program, symmetry, dict(module.state_dict())).passed


# --- brute force -------------------------------------------------------------------------

BRUTE = {
    "mlp": (lambda p, x: (x @ p.w + p.b).relu() @ p.v, {"w": (2, 3), "b": (3,), "v": (3, 2)}),
    "four hidden units": (lambda p, x: (x @ p.w).relu() @ p.v, {"w": (2, 4), "v": (4, 2)}),
    "residual": (
        lambda p, x: (x @ p.w + (x @ p.w).relu() @ p.u) @ p.v,
        {"w": (2, 3), "u": (3, 3), "v": (3, 2)},
    ),
    "tied": (lambda p, x: ((x @ p.w).relu() @ p.w.t()).relu(), {"w": (3, 4)}),
    "layer_norm": (
        lambda p, x: F.layer_norm(x @ p.w, (3,), p.a).relu() @ p.v,
        {"w": (2, 3), "a": (3,), "v": (3, 2)},
    ),
    "flattened": (
        lambda p, x: (x[:, None] * p.c[:, None]).relu().flatten(1) @ p.v,
        {"c": (2,), "v": (4, 1)},
    ),
    "concatenated": (
        lambda p, x: torch.cat([x @ p.w, x @ p.u], 1).relu() @ p.v,
        {"w": (2, 2), "u": (2, 2), "v": (4, 1)},
    ),
}
"""Small enough to try every permutation of every axis of every parameter."""


@pytest.mark.parametrize("name", BRUTE)
def test_brute_force_finds_exactly_the_derived_permutations(name):
    function, shapes = BRUTE[name]
    module = Tiny(function, shapes)
    inside = 3 if name == "tied" else 2
    program = program_of(module, (inside,))
    symmetry = derive_symmetry(program)
    params = {n: t.double() for n, t in module.state_dict().items()}
    x = torch.randn(5, inside, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    expected = program(params, x)
    axes = [(n, axis) for n, shape in shapes.items() for axis in range(len(shape))]
    found = set()
    for choice in product(*(permutations(range(shapes[n][axis])) for n, axis in axes)):
        moved = dict(params)
        for (n, axis), order in zip(axes, choice, strict=True):
            moved[n] = moved[n].index_select(axis, torch.tensor(order))
        module_out = function(_Namespace(moved), x)
        if torch.allclose(module_out, expected, rtol=1e-10, atol=1e-12):
            found.add(choice)
    assert found == set(_derived_choices(symmetry, shapes, axes))
    assert len(found) == prod(factorial(group.size) for group in symmetry.groups)


class _Namespace:
    def __init__(self, values: dict[str, Tensor]) -> None:
        self.__dict__.update(values)


def _derived_choices(symmetry, shapes, axes):
    """Yield what every element of the derived group does to every axis."""
    groups = symmetry.groups
    for orders in product(*(permutations(range(group.size)) for group in groups)):
        p = Permutation({g.name: torch.tensor(o) for g, o in zip(groups, orders, strict=True)})
        choice = []
        for name, axis in axes:
            shape = [1] * len(shapes[name])
            shape[axis] = -1
            own = torch.arange(shapes[name][axis]).view(shape).expand(shapes[name])
            moved = symmetry.apply(
                p, {n: own if n == name else torch.zeros(s) for n, s in shapes.items()}
            )[name]
            choice.append(
                tuple(moved.movedim(axis, 0).reshape(shapes[name][axis], -1)[:, 0].tolist())
            )
        yield tuple(choice)


# --- soundness in corners --------------------------------------------------------------


def test_a_parameter_that_two_modules_share_stays_shared():
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(4, 4)
            self.second = nn.Linear(4, 4)
            self.second.weight = self.first.weight
            self.start, self.end = nn.Linear(3, 4), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.end(self.second(self.first(self.start(x)).relu()).relu())

    module = Shared()
    program = program_of(module, (3,))
    symmetry = derive_symmetry(program)
    assert sizes(symmetry) == [4]
    assert prove(program, symmetry, dict(module.state_dict())).passed


def test_a_parameter_that_is_not_used_is_no_symmetry():
    symmetry, _ = derived(
        lambda p, x: (x @ p.w) @ p.v, {"w": (3, 4), "v": (4, 2), "idle": (5,)}, (3,)
    )
    assert sizes(symmetry) == [4]


def test_the_batch_may_be_reshaped_into_other_axes():
    symmetry, _ = derived(
        lambda p, x: (x.reshape(-1, 3) @ p.w).relu().reshape(x.shape[0], 2, 4)[:, 0] @ p.v,
        {"w": (3, 4), "v": (4, 2)},
        (2, 3),
    )
    assert sizes(symmetry) == [4]


def test_derivation_is_repeatable():
    program = program_of(nets.UNet(), (2, 8, 8))
    assert derive_symmetry(program).groups == derive_symmetry(program).groups
