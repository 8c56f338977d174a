"""Every architecture of the zoo through a `.pt2` and back."""

from __future__ import annotations

import pytest
import torch

from engine.checkpoints.names import own_names
from engine.program import read_program, save_program
from tests.zoo.table import ZOO

QUICK = (
    *("ResNet, option A shortcuts", "HRNet", "U-Net, transposed", "Sub-pixel super-resolution"),
    *("ShuffleNetV1", "MLP-Mixer", "Swin", "Llama, complex rotary", "nn.LSTM, both directions"),
    *("nn.LSTMCell and nn.GRUCell", "WaveNet, weight norm", "Video ConvNet", "Graph attention"),
    *("Einsum factors", "DLRM"),
)
"""Traced quickly, and with every kind of operation; the others are slow tests."""
CASES = [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in ZOO]


@pytest.mark.filterwarnings("ignore:The tensor attributes:UserWarning")
@pytest.mark.parametrize("name", CASES)
def test_the_zoo_comes_back_as_it_was(name, tmp_path):
    module, inputs = ZOO[name].module(), ZOO[name].inputs()
    save_program(module, inputs, tmp_path / "model.pt2")
    program, params = read_program(tmp_path / "model.pt2")
    state, _ = own_names(module.state_dict(), lightning=False)
    assert set(params) == set(state)
    assert all(torch.equal(params[key], value) for key, value in state.items())
    with torch.no_grad():
        expected = module(*inputs)
    expected = expected if isinstance(expected, torch.Tensor) else expected[0]
    torch.testing.assert_close(program(params, *inputs), expected)
