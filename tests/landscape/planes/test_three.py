from __future__ import annotations

import math

import pytest
import torch

from engine.errors import LandscapeError
from engine.landscape import check_plane, geometry_names, make_plane
from engine.landscape.planes import three_plane
from tests.landscape.oracle import setting
from tests.landscape.planes.oracle import flat
from tests.models import MODELS


def laid(*which, **more):
    program, models, _ = setting(MODELS[0], 1)
    chosen = [models[i] for i in which]
    return (
        chosen,
        geometry_names(program),
        three_plane(chosen, names=geometry_names(program), resolution=5, **more),
    )


def test_it_is_the_plane_of_a_comparison_under_other_names():
    models, names, found = laid(0, 1, 2, extent=(-0.5, 1.5, -0.5, 1.5))
    usual = make_plane(*models, resolution=5, names=names)
    plane = found.plane
    assert torch.equal(plane.coefficients, usual.coefficients)
    assert list(plane.positions) == list(found.on_plane) == ["A", "B", "C"]
    assert plane.positions["C"] == usual.positions["pi_b"]
    assert set(plane.distances) == {"A|B", "A|C", "B|C"}
    b, c = (flat(model, names) for model in models[1:])
    assert plane.distances["B|C"] == pytest.approx(float((b - c).norm()))
    checks = check_plane(plane, models, names)
    assert checks.lengths == pytest.approx((1, 1), rel=1e-5)
    assert checks.corner_error == 0
    assert (found.axes, found.unit) == (("along B − A", "towards C"), "‖B − A‖")


def test_the_square_holds_all_three():
    _, _, found = laid(0, 1, 2)
    u0, u1, v0, v1 = found.extent
    assert u1 - u0 == pytest.approx(v1 - v0, abs=0.2)
    for u, v in found.plane.positions.values():
        assert u0 + 0.4 <= u <= u1 - 0.4
        assert v0 + 0.4 <= v <= v1 - 0.4
    assert (found.plane.u[0], found.plane.u[-1]) == (u0, u1)


@pytest.mark.parametrize(
    ("which", "sentence", "unit"),
    [
        ((0, 1, 1), "C is B itself, so the three span no plane; the vertical axis", "‖B − A‖"),
        ((0, 1, 0), "C is A itself", "‖B − A‖"),
        ((0, 0, 1), "A and B are the same model; the horizontal axis goes from A to C", "‖C − A‖"),
    ],
)
def test_models_on_a_line_get_a_random_axis(which, sentence, unit):
    _, _, found = laid(*which)
    assert found.plane.degenerate is not None
    assert sentence in found.plane.degenerate
    assert found.unit == unit


def test_three_on_one_line():
    program, models, _ = setting(MODELS[0], 1, 2)
    half = {name: (models[0][name] + models[1][name]) / 2 for name in models[0]}
    found = three_plane([*models, half], names=geometry_names(program), resolution=3)
    assert found.plane.degenerate is not None
    assert found.plane.degenerate.startswith("A, B and C lie on one line")


def test_what_spans_nothing_is_refused():
    with pytest.raises(LandscapeError, match="A, B and C are the same model, and no plane goes"):
        laid(0, 0, 0)
    with pytest.raises(LandscapeError, match="goes through 3 models, not 2"):
        laid(0, 1)
    program, models, _ = setting(MODELS[0], 1)
    broken = models[2] | {"1.bias": torch.full((6,), math.nan)}
    with pytest.raises(LandscapeError, match="NaN or infinite weights"):
        three_plane([*models[:2], broken], names=geometry_names(program), resolution=3)
    other = {name: tensor for name, tensor in models[2].items() if name != "1.bias"}
    with pytest.raises(LandscapeError, match=r"only one of them has 1\.bias"):
        three_plane([*models[:2], other], names=geometry_names(program), resolution=3)
