"""Checkpoints in half precision: matched, and written with their names and bits, only reordered."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from engine.checkpoints import read_checkpoint
from engine.commandline import main
from engine.program import save_program
from engine.symmetry import Permutation

WRITTEN = (".safetensors", ".pt", ".npz")


class Perceptron(nn.Module):
    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.fc1, self.fc2, self.fc3 = nn.Linear(5, 7), nn.Linear(7, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc3(self.fc2(self.fc1(x).relu()).relu())


def saved(folder, dtype: torch.dtype, suffix: str) -> list[str]:
    paths = []
    for seed in (0, 1):
        module, path = Perceptron(seed).to(dtype).eval(), folder / f"{seed}{suffix}"
        tensors = dict(module.state_dict())
        if suffix == ".pt2":
            save_program(module, torch.randn(2, 5, dtype=dtype), path)
        elif suffix == ".pt":
            torch.save(tensors, path)
        elif suffix == ".npz":
            np.savez(path, **{name: tensor.numpy() for name, tensor in tensors.items()})
        else:
            save_file(tensors, path)
        paths.append(str(path))
    return paths


@pytest.mark.parametrize(
    ("suffix", "dtype"),
    [
        *((suffix, torch.float16) for suffix in (".safetensors", ".pt", ".npz", ".pt2")),
        *((suffix, torch.bfloat16) for suffix in (".safetensors", ".pt", ".pt2")),
    ],
)
def test_what_is_written_is_b_in_another_order(tmp_path, dtype, suffix):
    files, order = saved(tmp_path, dtype, suffix), tmp_path / "pi.safetensors"
    old = Perceptron(1).to(dtype).state_dict()
    out = tmp_path / f"out{suffix if suffix in WRITTEN else '.pt'}"
    assert main(["match", *files, "-o", str(out), "--permutation", str(order)]) == 0
    first, second = (Permutation.load(order)[name] for name in ("fc1", "fc2"))
    expected = {
        "fc1.weight": old["fc1.weight"][first],
        "fc1.bias": old["fc1.bias"][first],
        "fc2.weight": old["fc2.weight"][second][:, first],
        "fc2.bias": old["fc2.bias"][second],
        "fc3.weight": old["fc3.weight"][:, second],
        "fc3.bias": old["fc3.bias"],
    }
    new = read_checkpoint(out).tensors
    assert not torch.equal(first, torch.arange(7))
    assert set(new) == set(expected)
    assert all(new[name].dtype == dtype for name in new)
    assert all(torch.equal(new[name], tensor) for name, tensor in expected.items())
    if suffix == ".pt":
        assert list(torch.load(out, weights_only=True)) == list(expected)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("out.npz", "fc1.weight is in bfloat16, which .npz does not know; write .safetensors"),
        ("out.pt2", "a checkpoint is written as .safetensors, .pt, .pth, .bin or .npz, not as"),
    ],
)
def test_formats_that_cannot_hold_it_are_refused_at_once(tmp_path, capsys, name, message):
    files = saved(tmp_path, torch.bfloat16, ".pt")
    assert main(["match", *files, "-o", str(tmp_path / name)]) == 1
    captured = capsys.readouterr()
    assert message in captured.err
    assert "weight matching" not in captured.err
    assert not (tmp_path / name).exists()
