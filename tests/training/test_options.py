"""Defaults of the recipes and every refused option."""

from __future__ import annotations

import pytest

from engine.errors import TrainingError
from engine.training import RECIPES, resolve_options


def test_the_defaults_are_the_papers():
    options = resolve_options("mnist-mlp", seed=3)
    assert (options.width, options.optimiser, options.rate) == (512, "adam", 1e-3)
    assert (options.epochs, options.batch_size, options.data) == (20, 500, "mnist-full")
    options = resolve_options("cifar10-resnet20", seed=0)
    assert (options.norm, options.shortcut, options.rate) == ("batch", "B", 0.1)
    assert (options.epochs, options.batch_size) == (250, 100)


def test_the_rate_follows_the_optimiser():
    assert resolve_options("mnist-mlp", seed=0, optimiser="sgd").rate == 0.1
    assert resolve_options("mnist-mlp", seed=0, optimiser="sgd", rate=1e-3).rate == 1e-3


def test_metadata_is_text_without_folders(tmp_path):
    options = resolve_options("mnist-mlp", seed=1, data=tmp_path / "own.npz")
    assert options.metadata() == {
        "recipe": "mnist-mlp",
        "seed": "1",
        "epochs": "20",
        "width": "512",
        "optimiser": "adam",
        "rate": "0.001",
        "batch_size": "500",
        "data": "own.npz",
    }
    shown = resolve_options("cifar10-resnet20", seed=1, norm="layer").metadata()
    assert (shown["norm"], shown["shortcut"]) == ("layer", "B")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"recipe": "mnist"}, "no recipe 'mnist'; there are mnist-mlp, cifar10-resnet20"),
        ({"optimiser": "lion"}, "no optimiser 'lion'; there are adam, sgd"),
        ({"width": 0}, "The width is 0; it must be at least 1"),
        ({"epochs": 0}, "The number of epochs is 0; it must be at least 1"),
        ({"batch_size": -1}, "The batch size is -1; it must be at least 1"),
        ({"seed": -1}, "The seed is -1; it must be 0 or more"),
        ({"rate": 0.0}, "The learning rate is 0.0; it must be positive"),
        ({"rate": float("nan")}, "The learning rate is nan"),
        ({"schedule": "step"}, "no schedule 'step'; there are constant, cosine, cooldown"),
        ({"norm": "layer"}, "mnist-mlp has no norm 'layer'; it has none"),
        ({"recipe": "cifar10-resnet20", "shortcut": "C"}, "no shortcut 'C'; it has B, A, 3x3"),
    ],
)
def test_senseless_options_are_refused(given, message):
    with pytest.raises(TrainingError, match=message):
        resolve_options(**{"recipe": "mnist-mlp", "seed": 0} | given)


def test_each_optimiser_has_the_papers_schedule_and_another_can_be_asked_for():
    assert resolve_options("mnist-mlp", seed=0).schedule == "constant"
    assert resolve_options("mnist-mlp", seed=0, optimiser="sgd").schedule == "cosine"
    asked = resolve_options("mnist-mlp", seed=0, schedule="cosine")
    assert asked.schedule == "cosine" and asked.metadata()["schedule"] == "cosine"
    assert "schedule" not in resolve_options("mnist-mlp", seed=0, schedule="constant").metadata()


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_can_be_resolved(name):
    recipe = RECIPES[name]
    options = resolve_options(name, seed=0)
    assert options.data == recipe.data and recipe.epochs <= recipe.paper_epochs
