"""What wrappers add to names is undone, and each undoing is one sentence."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from engine.checkpoints.limits import Limits
from engine.checkpoints.names import unwrap
from engine.errors import CheckpointError, LimitError


def tensors(*names):
    return {name: torch.full((2,), float(i)) for i, name in enumerate(names)}


def lightning(*names):
    return {"state_dict": tensors(*names), "pytorch-lightning_version": "2"}


CASES = {
    "plain": (tensors("0.weight", "0.bias"), ["0.weight", "0.bias"], 0),
    "net is the model's own": (tensors("net.0.weight"), ["net.0.weight"], 0),
    "data parallel": (tensors("module.a.weight", "module.b"), ["a.weight", "b"], 1),
    "compiled": (tensors("_orig_mod.a.weight", "_orig_mod.b"), ["a.weight", "b"], 1),
    "compiled inside": (tensors("a._orig_mod.weight", "b"), ["a.weight", "b"], 1),
    "model": (tensors("model.a", "model.b"), ["a", "b"], 1),
    "model beside others": (tensors("model.a", "head.b"), ["model.a", "head.b"], 0),
    "nested": (tensors("module._orig_mod.model.a", "module._orig_mod.model.b"), ["a", "b"], 3),
    "inside": (tensors("features.module.0.w", "head.w"), ["features.0.w", "head.w"], 1),
    "inside in part": (tensors("f.module.0.w", "f.w"), ["f.module.0.w", "f.w"], 0),
    "averaged": (tensors("n_averaged", "module.a"), ["a"], 2),
    "average beside plain": (
        tensors("ema_model.a", "online_model.a", "initted", "step"),
        ["a"],
        1,
    ),
    "average alone": (tensors("ema_model.a", "step"), ["a"], 1),
    "average beside others": (tensors("ema.a", "x.a", "y.b"), ["ema.a", "x.a", "y.b"], 0),
    "lightning model": (lightning("model.a", "criterion.w"), ["a"], 4 - 1),
    "lightning net": (lightning("net.a", "net.b"), ["a", "b"], 3),
    "lightning without": (lightning("a", "b"), ["a", "b"], 2),
}


@pytest.mark.parametrize("kind", CASES)
def test_names(kind):
    content, expected, sentences = CASES[kind]
    found, notes = unwrap(content, Limits())
    assert list(found) == expected
    assert len(notes) == sentences
    assert all((note.endswith(".") and note[0].isupper()) or note[0] in "t" for note in notes)


def test_the_plain_weights_are_those_taken():
    found, notes = unwrap(tensors("ema_model.a", "online_model.a", "step"), Limits())
    assert found["a"][0] == 1
    assert "under 'ema_model.' were left aside" in notes[0]
    found, notes = unwrap(lightning("criterion.w", "net.a"), Limits())
    assert found["a"][0] == 1
    assert notes[-1].endswith("tensors of other attributes (criterion) were left out.")


def test_what_torch_itself_wraps_is_undone():
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    expected = set(net.state_dict())
    averaged = torch.optim.swa_utils.AveragedModel(net)
    for wrapped in (averaged, nn.DataParallel(net)):
        assert set(unwrap({"model": wrapped.state_dict()}, Limits())[0]) == expected


def test_two_tensors_that_would_get_one_name():
    with pytest.raises(CheckpointError, match=r"one name .* \('a\._orig_mod\.w' and 'a\.w'\)"):
        unwrap(tensors("a._orig_mod.w", "a.w"), Limits())


def test_limits_count_every_name():
    with pytest.raises(LimitError, match="it holds 3 tensors, more than the limit of 2"):
        unwrap(tensors("a", "b", "c"), Limits(tensors=2))
    with pytest.raises(LimitError, match="its tensors take 24 bytes, more than the limit of 20"):
        unwrap(tensors("a", "b", "c"), Limits(total_bytes=20))
