"""Where groups act and what they are called."""

from __future__ import annotations

from torch import nn

from engine.symmetry import Occurrence, derive_symmetry
from tests.models import Block, ResNet
from tests.symmetry import nets
from tests.symmetry.tiny import derived, program_of, sizes


def test_occurrences_of_a_flattened_image_hold_their_positions():
    module = nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.Flatten(), nn.Linear(3 * 16, 2))
    symmetry = derive_symmetry(program_of(module, (1, 4, 4)))
    assert symmetry.groups[0].name == "0"
    assert symmetry.groups[0].occurrences == (
        Occurrence("0.weight", 0, 0, 1, 3, 1),
        Occurrence("0.bias", 0, 0, 1, 3, 1),
        Occurrence("2.weight", 1, 0, 1, 3, 16),
    )


def test_shortcut_a_at_full_width_keeps_the_padded_channels_as_one_group():
    class Wide(ResNet):
        def __init__(self) -> None:
            super().__init__("batch", "A")
            self.layer2[0] = Block(3, 9, 2, "batch", "A")
            self.layer2[1] = Block(9, 9, 1, "batch", "A")
            self.linear = nn.Linear(9, 4)

    symmetry = derive_symmetry(program_of(Wide(), (2, 8, 8)))
    assert sizes(symmetry) == [3, 3, 6, 9, 9]
    assert [group.name for group in symmetry.groups] == [
        "conv1",
        "layer1.0.conv1",
        "layer2.0.conv1",
        "layer2.0.conv2",
        "layer2.1.conv1",
    ]


def test_groups_are_named_after_the_module_that_first_makes_their_units():
    symmetry = derive_symmetry(program_of(nets.Mixer(), (2, 8, 8)))
    assert [group.name for group in symmetry.groups] == ["patch", "across1", "within1"]


def test_factors_of_one_axis_have_names_that_tell_them_apart():
    symmetry, _ = derived(
        lambda p, x: (x @ p.w).view(-1, 2, 2).relu().reshape(-1, 4) @ p.v,
        {"w": (3, 4), "v": (4, 2)},
        (3,),
    )
    assert [group.name for group in symmetry.groups] == ["w[0:4 1×(2)×2]", "w[0:4 2×(2)×1]"]


def test_one_parameter_may_carry_a_group_on_both_axes():
    symmetry, _ = derived(
        lambda p, x: (x @ p.w + (x @ p.w).relu() @ p.u) @ p.v,
        {"w": (3, 4), "u": (4, 4), "v": (4, 2)},
        (3,),
    )
    own = [o.axis for o in symmetry.groups[0].occurrences if o.parameter == "u"]
    assert own == [0, 1]
