"""The built-in pair: how it is made, and the one that ships."""

from __future__ import annotations

import pytest

from engine.checkpoints import read_checkpoint
from engine.families import recognise
from engine.training import demo
from engine.training.demo import FOLDER, build_pair
from engine.training.train import train
from tests.training.tiny import tiny_vectors


def test_the_pair_is_written_with_its_origin(tmp_path):
    data, seen = tiny_vectors(tmp_path), []
    results = build_pair(
        tmp_path / "demo",
        data=data,
        epochs=2,
        batch_size=20,
        width=5,
        progress=lambda seed, state: seen.append((seed, state.step)),
    )
    assert seen == [(seed, step) for seed in (0, 1) for step in range(1, 7)]
    for seed, result in enumerate(results):
        kept = read_checkpoint(tmp_path / "demo" / f"mnist-mlp-seed{seed}.safetensors")
        direct = train("mnist-mlp", seed=seed, data=data, epochs=2, batch_size=20, width=5)
        assert all(kept.tensors[name].equal(value) for name, value in direct.tensors.items())
        assert result.history == direct.history


@pytest.mark.parametrize("seed", [0, 1])
def test_the_shipped_pair_is_an_mlp_of_three_hidden_layers(seed):
    checkpoint = read_checkpoint(FOLDER / f"mnist-mlp-seed{seed}.safetensors")
    assert recognise(checkpoint.tensors).title == "MLP 784-512-512-512-10"


def test_the_command_says_why_it_cannot(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("BASINSCOPE_HUB_MIRROR", str(tmp_path))
    assert demo.main() == 1
    assert "unset BASINSCOPE_HUB_MIRROR" in capsys.readouterr().err


def test_the_command_trains_both(tmp_path, monkeypatch, capsys):
    data = tiny_vectors(tmp_path)

    def small(progress):
        return build_pair(tmp_path, data=data, epochs=1, batch_size=30, width=3, progress=progress)

    monkeypatch.setattr(demo, "build_pair", small)
    assert demo.main() == 0
    assert "seed 1, epoch 1: test loss" in capsys.readouterr().err
