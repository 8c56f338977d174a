"""The recipes' networks: keys, shapes, outputs, and that the families know them."""

from __future__ import annotations

import pytest
import torch

from engine.errors import TrainingError
from engine.families import recognise
from engine.training.models import mlp, resnet20, vgg16


def test_the_mlp_is_the_papers():
    state = mlp((1, 28, 28), 10, (512, 512, 512)).state_dict()
    assert [tuple(value.shape) for value in state.values()] == [
        *((512, 784), (512,), (512, 512), (512,), (512, 512), (512,), (10, 512), (10,))
    ]
    assert list(state)[::2] == ["0.weight", "2.weight", "4.weight", "6.weight"]


@pytest.mark.parametrize("norm", ["batch", "layer"])
@pytest.mark.parametrize("shortcut", ["A", "B", "3x3"])
def test_resnet20_has_the_public_keys(norm, shortcut):
    module = resnet20((3, 32, 32), 10, 1, norm, shortcut).eval()
    state = module.state_dict()
    assert {"conv1.weight", "bn1.weight", "layer1.0.conv1.weight", "linear.bias"} <= set(state)
    assert ("layer2.0.shortcut.0.weight" in state) == (shortcut != "A")
    assert "layer1.0.shortcut.0.weight" not in state
    assert sum(value.ndim == 4 for name, value in state.items() if "shortcut" not in name) == 19
    assert module(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
    assert recognise(state).family == "resnet"


def test_resnet20_has_the_published_size():
    def size(shortcut):
        parameters = resnet20((3, 32, 32), 10, 1, "batch", shortcut).parameters()
        return sum(value.numel() for value in parameters)

    assert size("A") == 269_722  # as akamaster/pytorch_resnet_cifar10 counts it
    assert size("B") == 269_722 + 16 * 32 + 32 * 64 + 2 * (32 + 64)


@pytest.mark.parametrize("norm", ["batch", "layer", "none"])
def test_vgg16_has_sixteen_layers(norm):
    module = vgg16((3, 32, 32), 10, 2, norm).eval()
    state = module.state_dict()
    assert sum(value.ndim in (2, 4) for value in state.values()) == 16
    assert {"features.0.weight", "classifier.0.weight", "classifier.4.bias"} <= set(state)
    assert module(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
    assert recognise(state).family == "vgg"


def test_a_recognised_model_computes_the_same():
    module = resnet20((3, 32, 32), 10, 1, "layer", "3x3").eval()
    inputs = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    found = recognise(module.state_dict())
    rebuilt = found.module()
    state = module.state_dict()
    rebuilt.load_state_dict({own: state[name] for own, name in found.names.items()}, strict=False)
    assert torch.allclose(rebuilt.eval()(inputs), module(inputs), atol=1e-4)


def test_vgg16_refuses_small_images():
    with pytest.raises(TrainingError, match="at least 32 × 32 pixels; these are 28 × 28"):
        vgg16((1, 28, 28), 10, 2, "batch")
