from __future__ import annotations

import pytest
import torch

from engine.errors import LandscapeError
from engine.landscape import geometry_names
from engine.landscape.geometry import gram, norm, stretches
from engine.program import capture
from tests.landscape.oracle import Tied, setting
from tests.models import MODELS


def flat(model, names):
    return torch.cat([model[name].double().reshape(-1) for name in names])


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name)
def test_inner_products_equal_those_of_flat_vectors(model):
    program, models, _ = setting(model, 1)
    names = geometry_names(program)
    a, b, c = (flat(m, names) for m in models)
    expected = torch.stack((b - a, c - a)) @ torch.stack((b - a, c - a)).T
    torch.testing.assert_close(gram(models, names), expected)
    assert norm(models[0], names) == pytest.approx(float(a.norm()))


def test_running_statistics_and_whole_numbers_do_not_count():
    program, models, _ = setting(MODELS[3], 1)
    assert set(models[0]) - set(geometry_names(program)) == {
        f"{layer}.{kind}"
        for layer in (1, 5)
        for kind in ("running_mean", "running_var", "num_batches_tracked")
    }


def test_tied_weights_count_once():
    module = Tied()
    names = geometry_names(capture(module, torch.randn(2, 6)))
    assert sorted(names) == ["first.bias", "first.weight", "second.bias"]


def test_large_tensors_are_read_in_stretches(monkeypatch):
    monkeypatch.setattr("engine.landscape.geometry._STRETCH", 4)
    models = [{"w": torch.arange(10.0).view(2, 5)}, {"w": torch.ones(2, 5)}]
    parts = list(stretches(models, ["w"]))
    assert [len(first) for first, _ in parts] == [4, 4, 2]
    assert torch.equal(torch.cat([first for first, _ in parts]), torch.arange(10.0).double())
    assert float(gram(models, ["w"])) == sum((x - 1) ** 2 for x in range(10))


def test_an_unknown_name_is_refused():
    with pytest.raises(LandscapeError, match="nothing is no tensor of every model"):
        gram([{"w": torch.ones(1)}] * 2, ["nothing"])
