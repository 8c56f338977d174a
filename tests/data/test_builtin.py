"""The built-in MNIST and the script that builds it."""

from __future__ import annotations

import numpy as np
import pytest

from engine.data.build_builtin import build
from engine.data.builtin import FOLDER, read_builtin
from engine.data.catalogue import DATASETS
from engine.data.dataset import draw
from engine.errors import DataError
from tests.data.images import write_mirror


def test_the_test_split_is_the_complete_mnist_test_set():
    raw = read_builtin("test")
    assert raw.inputs.shape == (10_000, 1, 28, 28)
    assert raw.targets[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    counts = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert raw.targets.bincount().tolist() == counts
    # The mean pixel of the original test set, .1325 of full scale.
    assert raw.inputs.float().mean().item() / 255 == pytest.approx(0.1325, abs=1e-4)


def test_the_training_split_is_the_stated_draw():
    raw = read_builtin("train")
    assert raw.inputs.shape == (10_000, 1, 28, 28)
    with np.load(FOLDER / "train.npz") as stored:
        indices = stored["indices"]
    assert np.array_equal(indices, draw(60_000, 10_000, 0).numpy())


def test_the_script_draws_and_stores_as_stated(tmp_path, monkeypatch):
    pixels = write_mirror(tmp_path / "mirror", DATASETS["mnist-full"], 12)
    monkeypatch.setenv("BASINSCOPE_HUB_MIRROR", str(tmp_path / "mirror"))
    build(tmp_path / "out", samples=5)
    train, test = (read_builtin(split, tmp_path / "out") for split in ("train", "test"))
    assert np.array_equal(test.inputs.numpy(), pixels["test"])
    chosen = draw(12, 5, 0)
    assert np.array_equal(train.inputs.numpy(), pixels["train"][chosen])
    assert train.targets.tolist() == [int(i) % 10 for i in chosen]


@pytest.mark.parametrize("content", [None, b"", b"not a zip"])
def test_missing_or_damaged_files_say_what_to_do(content, tmp_path):
    if content is not None:
        (tmp_path / "test.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"test\.npz is missing or damaged .*build_builtin"):
        read_builtin("test", tmp_path)
