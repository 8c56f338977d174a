from __future__ import annotations

import pytest
import torch

from engine.errors import LandscapeError
from engine.landscape.direction import displaced, random_direction
from tests.landscape.oracle import state
from tests.models import MODELS

NAMES = ("1.weight", "1.bias", "3.weight")


def drawn(model, seed=0):
    return random_direction(model, NAMES, torch.Generator().manual_seed(seed))


def test_filters_keep_the_models_norms_and_the_seed_decides():
    model = state(MODELS[0].module())
    direction = drawn(model)
    assert tuple(direction) == NAMES
    torch.testing.assert_close(
        direction["1.weight"].norm(dim=1), model["1.weight"].double().norm(dim=1)
    )
    torch.testing.assert_close(direction["1.bias"].norm(), model["1.bias"].double().norm())
    assert torch.equal(direction["3.weight"], drawn(model)["3.weight"])
    assert not torch.equal(direction["3.weight"], drawn(model, 1)["3.weight"])


def test_a_filter_of_zeros_stays():
    assert not drawn(state(MODELS[0].module()) | {"1.bias": torch.zeros(6)})["1.bias"].any()


def test_the_move_is_orthogonal_and_as_long_as_asked():
    a, b = state(MODELS[0].module(0)), state(MODELS[0].module(1))
    moved = displaced(a, drawn(a), b, 3.0)
    step = torch.cat([(moved[n].double() - a[n].double()).reshape(-1) for n in NAMES])
    towards = torch.cat([(b[n].double() - a[n].double()).reshape(-1) for n in NAMES])
    assert float(step.norm()) == pytest.approx(3.0, rel=1e-6)
    assert abs(float(step @ towards)) < 1e-6 * float(towards.norm())
    assert torch.equal(moved["5.weight"], a["5.weight"])
    assert moved["1.weight"].dtype == torch.float32


@pytest.mark.parametrize("a", [torch.zeros(3), torch.ones(1)])
def test_where_no_direction_is_left_it_says_so(a):
    model, other = {"w": a}, {"w": a + 1}
    direction = random_direction(model, ["w"], torch.Generator().manual_seed(0))
    with pytest.raises(LandscapeError, match="No random direction exists"):
        displaced(model, direction, other, 1.0)
