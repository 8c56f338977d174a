"""The driver: it learns, repeats itself bit for bit, reports, stops and refuses."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from engine.data.catalogue import DATASETS
from engine.errors import CancelledError, TrainingError
from engine.families import recognise
from engine.training import train
from engine.training.initialise import build_fresh
from engine.training.models import mlp
from engine.training.train import seeded
from tests.data.images import write_mirror
from tests.training.tiny import tiny_images, tiny_vectors


def tiny(tmp_path, **changes):
    given = {"seed": 0, "width": 16, "epochs": 3, "batch_size": 10, "data": tiny_vectors(tmp_path)}
    return train("mnist-mlp", **given | changes)


def test_it_learns(tmp_path):
    result = tiny(tmp_path, epochs=30, rate=1e-2)
    assert result.history[0].test_loss > 0.5
    assert result.history[-1].test_accuracy == 1.0
    assert result.history[-1].train_loss < 0.05
    assert [record.epoch for record in result.history] == list(range(1, 31))


@pytest.mark.parametrize("optimiser", ["adam", "sgd"])
def test_one_seed_one_model_bit_for_bit(optimiser, tmp_path):
    before = torch.get_rng_state()
    first, again, other = (tiny(tmp_path, optimiser=optimiser, seed=seed) for seed in (4, 4, 5))
    assert torch.get_rng_state().equal(before)
    assert first.history == again.history
    assert all(first.tensors[name].equal(again.tensors[name]) for name in first.tensors)
    assert not first.tensors["0.weight"].equal(other.tensors["0.weight"])


def test_a_schedule_that_is_asked_for_is_followed(tmp_path):
    constant, cosine = (tiny(tmp_path, epochs=1, schedule=name) for name in ("constant", "cosine"))
    assert constant.tensors["0.weight"].equal(tiny(tmp_path, epochs=1).tensors["0.weight"])
    start = build_fresh(lambda: mlp((9,), 3, (16, 16, 16)), seeded(0, "weights")).state_dict()
    moved = [float((x.tensors["0.weight"] - start["0.weight"]).norm()) for x in (constant, cosine)]
    assert 0 < moved[1] < 0.8 * moved[0]
    cooled = tiny(tmp_path, epochs=1, schedule="cooldown").tensors["0.weight"]
    assert moved[1] < float((cooled - start["0.weight"]).norm()) < moved[0]


def test_augmented_training_is_repeatable(tmp_path):
    given = {"seed": 1, "epochs": 1, "batch_size": 4, "data": tiny_images(tmp_path)}
    first, again = (train("cifar10-resnet20", **given) for _ in range(2))
    assert all(first.tensors[name].equal(again.tensors[name]) for name in first.tensors)
    assert first.tensors["bn1.num_batches_tracked"] == 2
    assert recognise(first.tensors).family == "resnet"


@pytest.mark.parametrize(
    ("recipe", "options"),
    [
        ("cifar10-resnet20", {"norm": "layer", "shortcut": "3x3"}),
        ("cifar10-resnet20", {"norm": "batch", "shortcut": "A"}),
        ("cifar10-vgg16", {"width": 2, "norm": "layer"}),
        ("cifar10-vgg16", {"width": 2, "optimiser": "adam"}),
    ],
)
def test_every_image_recipe_trains(recipe, options, tmp_path):
    data = tiny_images(tmp_path, count=4, size=32 if "vgg" in recipe else 8)
    result = train(recipe, seed=0, epochs=1, batch_size=4, data=data, **options)
    assert np.isfinite(result.history[0].test_loss)
    assert all(tensor.is_contiguous() for tensor in result.tensors.values())


def test_the_mlp_is_trained_as_a_plain_loop_would(tmp_path):
    """An independent loop in float64 over the same draws reaches the same weights."""
    result = tiny(tmp_path, optimiser="sgd", rate=0.05, epochs=4)
    with np.load(tiny_vectors(tmp_path)) as stored:
        inputs = torch.from_numpy(stored["inputs"]).double().flatten(1) / 255
        targets = torch.from_numpy(stored["targets"])
    module = nn.Sequential(
        *(nn.Linear(9, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU()),
        *(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 3)),
    ).double()
    weights, order = seeded(0, "weights"), seeded(0, "order")
    with torch.no_grad():
        for layer in module[::2]:
            std = layer.in_features**-0.5 / 0.87962566103423978
            start = torch.empty(layer.weight.shape)
            nn.init.trunc_normal_(start, 0, std, -2 * std, 2 * std, generator=weights)
            layer.weight.copy_(start)
            layer.bias.zero_()
    parameters = dict(module.named_parameters())
    velocity = {name: torch.zeros_like(value) for name, value in parameters.items()}
    for step, chosen in enumerate(
        chosen for _ in range(4) for chosen in torch.randperm(60, generator=order).split(10)
    ):
        module.zero_grad()
        F.cross_entropy(module(inputs[chosen]), targets[chosen]).backward()
        fall = 0.05 * (1 + np.cos(np.pi * (step - 4) / 20)) / 2  # a fifth warms up
        rate = 1e-6 + (0.05 - 1e-6) * step / 4 if step < 4 else fall
        with torch.no_grad():
            for name, value in parameters.items():
                velocity[name] = 0.9 * velocity[name] + value.grad
                value.sub_(rate * velocity[name])
    for name, value in parameters.items():
        assert torch.allclose(result.tensors[name].double(), value, atol=1e-5)


def test_progress_and_checkpoints_are_told(tmp_path):
    states, kept = [], {}
    result = tiny(tmp_path, progress=states.append, checkpoints=kept.__setitem__)
    assert [state.step for state in states] == list(range(1, 19))
    assert {state.steps for state in states} == {18}
    assert [state.epoch for state in states][::6] == [1, 2, 3]
    assert tuple(state.finished for state in states if state.finished) == result.history
    assert list(kept) == [1, 2, 3]
    assert not kept[1]["0.weight"].equal(kept[2]["0.weight"])  # copies, not views
    assert kept[3]["0.weight"].equal(result.tensors["0.weight"])


def test_a_rest_below_a_batch_sits_out(tmp_path):
    states = []
    tiny(tmp_path, batch_size=25, epochs=1, progress=states.append)
    assert len(states) == 2


def test_a_training_can_be_cancelled(tmp_path):
    answers = iter([False] * 8 + [True])
    with pytest.raises(CancelledError, match="cancelled in epoch 2"):
        tiny(tmp_path, should_stop=lambda: next(answers))


def test_a_diverged_training_stops(tmp_path):
    with pytest.raises(TrainingError, match=r"The loss became .* Try a lower rate than 1e\+30"):
        tiny(tmp_path, optimiser="sgd", rate=1e30)


def test_missing_data_names_the_way_out(tmp_path, monkeypatch):
    monkeypatch.setenv("BASINSCOPE_HUB_MIRROR", str(tmp_path))
    with pytest.raises(
        TrainingError, match=r"cannot be trained on the data 'mnist-full'\. .*MIRROR"
    ):
        train("mnist-mlp", seed=0)


def test_the_complete_data_is_taken_from_a_mirror(tmp_path, monkeypatch):
    write_mirror(tmp_path, DATASETS["mnist-full"], 20)
    monkeypatch.setenv("BASINSCOPE_HUB_MIRROR", str(tmp_path))
    result = train("mnist-mlp", seed=0, width=4, epochs=1, batch_size=10)
    assert result.tensors["0.weight"].shape == (4, 784)
    assert result.options.data == "mnist-full"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 61}, r"batch size 61 is larger than the training data \(60 samples\)"),
        ({"device": "warp"}, "no device 'warp'; say cpu, cuda or cuda:0"),
        ({"device": "meta"}, "Training runs on cpu or cuda, not on 'meta'"),
    ],
)
def test_impossible_trainings_are_refused(changes, message, tmp_path):
    with pytest.raises(TrainingError, match=message):
        tiny(tmp_path, **changes)


def test_a_missing_gpu_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(TrainingError, match="no CUDA device on this machine; train on the cpu"):
        tiny(tmp_path, device="cuda")


@pytest.mark.gpu
def test_a_gpu_trains_the_same_to_rounding(tmp_path):
    cpu, gpu = (tiny(tmp_path, device=device) for device in ("cpu", "cuda"))
    assert torch.allclose(cpu.tensors["0.weight"], gpu.tensors["0.weight"], atol=1e-4)


def test_images_are_needed_by_the_resnet(tmp_path):
    np.savez(tmp_path / "flat.npz", inputs=np.zeros((8, 5), np.float32), targets=[0, 1] * 4)
    with pytest.raises(TrainingError, match=r"needs images .*flat\.npz have shape \[5\]"):
        train("cifar10-resnet20", seed=0, batch_size=4, data=tmp_path / "flat.npz")


def test_every_seed_and_purpose_has_draws_of_its_own():
    purposes = ("weights", "order", "augmentation")
    streams = [seeded(seed, purpose) for seed in (0, 1) for purpose in purposes]
    assert len({torch.rand(1, generator=stream).item() for stream in streams}) == 6
    first, again = (torch.rand(4, generator=seeded(7, "order")) for _ in range(2))
    assert first.equal(again)


def test_the_augmentation_is_drawn_from_the_seed(tmp_path, monkeypatch):
    """With equal weights and order, another augmentation stream gives another model."""
    given = {"seed": 1, "epochs": 1, "batch_size": 4, "data": tiny_images(tmp_path)}
    first = train("cifar10-resnet20", **given)
    other = {"weights": 1, "order": 1, "augmentation": 2}
    streams = {purpose: seeded(seed, purpose) for purpose, seed in other.items()}
    driver = sys.modules[train.__module__]
    monkeypatch.setattr(driver, "seeded", lambda seed, purpose: streams[purpose])
    second = train("cifar10-resnet20", **given)
    assert not first.tensors["conv1.weight"].equal(second.tensors["conv1.weight"])
