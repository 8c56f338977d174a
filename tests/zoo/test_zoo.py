"""Every architecture derives without an op that has no rule, and is proved on its parameters."""

from __future__ import annotations

import pytest

from engine.program import capture
from engine.symmetry import derive_symmetry, prove
from tests.zoo.table import ZOO

QUICK = {
    "ResNet, option A shortcuts",
    "DenseNet",
    "MobileNetV3",
    "ShuffleNetV1",
    "ShuffleNetV2",
    "ConvNeXtV2",
    "U-Net, transposed",
    "MLP-Mixer",
    "ViT",
    "Swin",
    "nn.MultiheadAttention",
    "Llama, grouped queries",
    "Mixture of experts",
    "nn.GRU",
    "WaveNet, weight norm",
    "Siamese towers",
}
"""One per kind of network; the others take minutes together."""

ROWS = [
    pytest.param(name, marks=() if name in QUICK else pytest.mark.slow, id=name) for name in ZOO
]


@pytest.mark.filterwarnings("ignore")  # of tracing torch's recurrent layers, of `transformers`
@pytest.mark.parametrize("name", ROWS)
def test_every_group_is_derived_and_proved(name):
    architecture = ZOO[name]
    module = architecture.module()
    program = capture(module, architecture.inputs())
    symmetry = derive_symmetry(program)
    assert symmetry.report.ops_without_rule == ()
    if architecture.groups is not None:
        assert sorted(group.size for group in symmetry.groups) == sorted(architecture.groups)
    assert symmetry.groups
    assert prove(program, symmetry, dict(module.state_dict())).relative <= 1e-9


def test_the_zoo_is_as_large_as_the_documentation_says():
    assert len(ZOO) >= 40
    assert sum(architecture.groups is not None for architecture in ZOO.values()) >= 15
