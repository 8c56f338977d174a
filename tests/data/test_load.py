"""One entry to all data."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.data import load, load_dataset
from engine.data.catalogue import DATASETS, IMAGENET_MEAN, IMAGENET_STD
from engine.errors import DataError
from tests.data.images import write_mirror


def test_the_built_in_data_needs_nothing():
    data = load_dataset("mnist", "test", samples=100, seed=1)
    assert data.inputs.shape == (100, 1, 28, 28)
    assert data.inputs.dtype == torch.float32
    assert data.inputs.min() >= 0 and data.inputs.max() <= 1
    assert (data.name, data.split, data.classes) == ("mnist", "test", 10)


@pytest.mark.parametrize("name", [name for name, info in DATASETS.items() if not info.builtin])
def test_a_mirror_serves_every_named_set(name, tmp_path, monkeypatch):
    info = DATASETS[name]
    pixels = write_mirror(tmp_path, info)
    monkeypatch.setenv("BASINSCOPE_HUB_MIRROR", str(tmp_path))
    train = load_dataset(name, "train", mean=(0,), std=(1,))
    assert np.array_equal((train.inputs * 255).round().numpy(), pixels["train"])
    test = load_dataset(name, "test")
    assert (test.mean, test.std, test.classes) == (info.mean, info.std, info.classes)
    assert test.sha256 != train.sha256


def test_the_default_normalisation_is_applied(tmp_path, monkeypatch):
    pixels = write_mirror(tmp_path, DATASETS["cifar10"])
    monkeypatch.setenv("BASINSCOPE_HUB_MIRROR", str(tmp_path))
    data = load_dataset("cifar10", "test")
    expected = pixels["test"][5, 2, 3, 4] / 255
    assert data.inputs[5, 2, 3, 4].item() == pytest.approx(
        (expected - IMAGENET_MEAN[2]) / IMAGENET_STD[2], abs=1e-5
    )


def test_a_file_is_loaded_by_its_path(tmp_path):
    np.savez(tmp_path / "own.npz", inputs=np.ones((3, 5), np.float32), targets=[0, 1, 1])
    data = load_dataset(tmp_path / "own.npz", samples=2)
    assert (data.name, data.mean, data.std, data.classes) == ("own.npz", (0.0,), (1.0,), 2)
    assert data.inputs.tolist() == [[1.0] * 5] * 2


@pytest.mark.parametrize(
    ("name", "split", "message"),
    [
        ("mnits", "test", "no data set 'mnits'; there are mnist, mnist-full, .*npz"),
        ("none.npz", "test", "There is no file none.npz"),
        ("mnist", "validation", "no split 'validation'; it has train, test"),
    ],
)
def test_unknown_names_list_what_there_is(name, split, message):
    with pytest.raises(DataError, match=message):
        load_dataset(name, split)


def test_raw_reading_knows_only_names():
    with pytest.raises(DataError, match="no data set 'x'; there are"):
        load.read_named("x", "test")


def test_the_complete_mnist_names_the_way_out(tmp_path, monkeypatch):
    monkeypatch.setenv("BASINSCOPE_HUB_MIRROR", str(tmp_path))
    with pytest.raises(DataError, match=r"no ylecun/mnist/mnist/test-.*BASINSCOPE_HUB_MIRROR"):
        load_dataset("mnist-full", "test")
