"""Which layers repairs may rescale, and what is said of the others."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from engine.errors import RepairError
from engine.program import capture
from engine.repair import REPAIRS, obstacle, repair
from engine.repair.sites import find_sites
from tests.landscape.oracle import Tied, program_of, state
from tests.models import MODELS
from tests.repair.oracle import repaired_by_hand
from tests.symmetry.tiny import Tiny
from tests.symmetry.tiny import program_of as tiny_program


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name)
def test_sites_are_those_found_by_hand(model):
    sites = find_sites(program_of(model))
    both, scale = repaired_by_hand(model)
    assert {s.weight for s in sites.hidden} == {f"{name}.weight" for name in both | scale}
    assert {s.weight for s in sites.hidden if s.bias is None} == {f"{n}.weight" for n in scale}
    assert sites.head is not None and sites.left_alone == ()


def found(function, shapes, inputs=(4,)):
    return find_sites(tiny_program(Tiny(function, shapes), inputs))


def test_transposed_weights_and_products_carry_channels_on_their_other_axis():
    sites = found(
        lambda p, x: F.relu(torch.addmm(p.b, F.relu(x @ p.v.t()), p.w)) @ p.out,
        {"v": (5, 4), "b": (6,), "w": (5, 6), "out": (6, 2)},
    )
    assert [(s.weight, s.weight_axis, s.bias, s.channels) for s in sites.hidden] == [
        ("v", 0, None, 5),
        ("w", 1, "b", 6),
    ]
    assert sites.head is not None and (sites.head.weight, sites.head.weight_axis) == ("out", 1)


def test_a_transposed_convolution_has_its_channels_second():
    sites = found(
        lambda p, x: F.conv_transpose2d(x, p.w, p.b).relu().mean((2, 3)) @ p.out,
        {"w": (2, 3, 2, 2), "b": (3,), "out": (3, 2)},
        (2, 4, 4),
    )
    assert [(s.weight_axis, s.axis, s.channels) for s in sites.hidden] == [(1, 1, 3)]
    assert found(
        lambda p, x: F.conv_transpose2d(x, p.w, groups=2).relu().mean((2, 3)) @ p.out,
        {"w": (2, 3, 2, 2), "out": (6, 2)},
        (2, 4, 4),
    ).left_alone == ("Layers written with other ops are left alone: conv_transpose2d in groups.",)


def test_shared_weights_are_left_alone_and_named():
    program = capture(Tied().eval(), torch.zeros(2, 6))
    sites = find_sites(program)
    assert sites.hidden == () and sites.head is None
    assert sites.left_alone == ("Weights that several layers share are left alone: first.weight.",)
    for key in ("repair", "rescale"):
        why = obstacle(key, program)
        assert why is not None and why.startswith(f"{REPAIRS[key].title} finds no layer")
        assert why.endswith("share are left alone: first.weight.")
    with pytest.raises(RepairError, match="REPAIR finds no layer whose channels it could scale"):
        ends = [program.named(state(Tied())) for _ in range(2)]
        repair(program, ends, (0.5, 0.5), (torch.zeros(4, 6),), repairs=["repair"])


def test_a_model_of_one_layer_has_no_hidden_one():
    program = capture(nn.Linear(3, 2).eval(), torch.zeros(2, 3))
    why = obstacle("rescale", program)
    assert why is not None and why.endswith("no hidden linear layer, convolution or norm.")
    assert obstacle("temperature", program) is None


@pytest.mark.parametrize(
    ("function", "shapes", "sentence"),
    [
        (
            lambda p, x: torch.einsum("bi,ij->bj", x, p.w).relu() @ p.out,
            {"w": (4, 5), "out": (5, 2)},
            "Layers written with other ops are left alone: einsum.",
        ),
        (
            lambda p, x: F.linear(x, p.v * p.g[:, None]).relu() @ p.out,
            {"v": (5, 4), "g": (5,), "out": (5, 2)},
            "Weights computed from others are left alone: mul.",
        ),
        (
            lambda p, x: F.layer_norm(x @ p.w, (5,)).relu() @ p.out,
            {"w": (4, 5), "out": (5, 2)},
            "Norms without a scale per channel are left alone: layer_norm.",
        ),
        (
            lambda p, x: torch.addmm(p.b, x, p.w, alpha=2).relu() @ p.out,
            {"w": (4, 5), "b": (5,), "out": (5, 2)},
            "Layers written with other ops are left alone: addmm.",
        ),
    ],
)
def test_what_is_not_covered_is_said(function, shapes, sentence):
    sites = found(function, shapes)
    assert sentence in sites.left_alone
    assert all(site.weight not in ("v", "g") for site in sites.hidden)


def test_the_logits_may_be_pooled_but_not_bent():
    shapes = {"w": (4, 5), "out": (5, 2)}
    pooled = found(lambda p, x: (x @ p.w).relu()[:, None].matmul(p.out).mean(1), shapes)
    assert pooled.head is not None and pooled.head.weight == "out"
    assert found(lambda p, x: ((x @ p.w).relu() @ p.out).tanh(), shapes).head is None


def test_reading_the_sizes_of_a_value_is_not_reading_it():
    def function(p, x):
        y = F.conv2d(x, p.w).relu()
        z = F.conv2d(y, p.out)
        return z.view(z.shape[0], -1)

    sites = found(function, {"w": (4, 2, 1, 1), "out": (3, 4, 1, 1)}, (2, 2, 2))
    assert [site.weight for site in sites.hidden] == ["w"]
    assert sites.head is not None and sites.head.weight == "out"


class NoAffine(nn.Module):
    """A BatchNorm without scale, and one that is called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.out = nn.Linear(3, 4), nn.Linear(4, 2)
        self.plain, self.twice = nn.BatchNorm1d(4, affine=False), nn.BatchNorm1d(4)

    def forward(self, x):
        x = self.plain(self.hidden(x)).relu()
        return self.out(self.twice(self.twice(x).relu() + x))


def test_batch_norms_that_cannot_be_rescaled_are_still_reset():
    program = capture(NoAffine().eval(), torch.zeros(2, 3))
    sites = find_sites(program)
    assert sites.hidden == () and len(sites.left_alone) == 2
    assert obstacle("reset", program) is None
