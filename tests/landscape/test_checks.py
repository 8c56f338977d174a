from __future__ import annotations

import pytest
import torch

from engine.landscape import check_plane, geometry_names, make_plane
from tests.landscape.oracle import combine, setting
from tests.models import MODELS


def flat(model, names):
    return torch.cat([model[name].double().reshape(-1) for name in names])


@pytest.mark.parametrize("index", [0, 6])
def test_a_planes_axes_are_measured_on_its_formed_points(index):
    program, models, _ = setting(MODELS[index], 1)
    names = geometry_names(program)
    plane = make_plane(*models, resolution=(4, 3), extent=(-0.5, 1.5, 0.0, 2.5), names=names)
    checks = check_plane(plane, models, names)
    assert checks.lengths == pytest.approx((1, 1), rel=1e-5)
    assert checks.cosine < 1e-5
    assert checks.corner_error == 0
    origin, right, up = (flat(combine(models, plane.coefficients[i]), names) for i in (0, 3, 8))
    step = plane.u_norm * torch.tensor([2.0, 2.5], dtype=torch.float64)
    expected = torch.stack(((right - origin).norm(), (up - origin).norm())) / step
    torch.testing.assert_close(
        torch.tensor(checks.lengths, dtype=torch.float64), expected, rtol=1e-5, atol=0
    )


def test_a_plane_that_is_not_what_it_says_shows(monkeypatch):
    program, models, _ = setting(MODELS[0], 1)
    names = geometry_names(program)
    plane = make_plane(*models, resolution=3, names=names)
    plane.coefficients[2] += torch.tensor([-0.1, 0.0, 0.1])
    plane.corners[1] = torch.tensor([0.1, 0.9, 0.0])
    checks = check_plane(plane, models, names)
    assert abs(checks.lengths[0] - 1) > 1e-3
    assert checks.cosine > 1e-3
    assert checks.corner_error > 1e-2
