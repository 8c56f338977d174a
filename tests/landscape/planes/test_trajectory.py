from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from engine.errors import LandscapeError
from engine.landscape import check_plane, geometry_names
from engine.landscape.planes import principal_components, trajectory_plane
from tests.landscape.oracle import combine, program_of, state
from tests.landscape.planes.oracle import flat
from tests.models import MODELS

NAMES = geometry_names(program_of(MODELS[3]))


def walk(count=6, model=MODELS[3]):
    """Return checkpoints that drift from one network towards another, with noise."""
    first, second, *noise = [state(model.module(seed)) for seed in range(count + 2)]
    return [
        {
            name: tensor
            if not tensor.is_floating_point()
            else tensor + (k / count) ** 0.5 * (second[name] - tensor) + 0.1 * noise[k][name]
            for name, tensor in first.items()
        }
        for k in range(count)
    ]


def test_components_are_those_of_numpys_svd():
    models = walk()
    rows = np.stack([flat(model, NAMES).numpy() for model in models])
    rows -= rows[-1]
    _, values, vectors = np.linalg.svd(rows - rows.mean(0), full_matrices=False)
    found = principal_components(models, NAMES)
    directions = found.weights.T.numpy() @ rows
    assert np.abs(np.sum(directions * vectors[:2], axis=1)) == pytest.approx(1)
    assert found.explained.numpy() == pytest.approx((values**2 / (values**2).sum())[:2])
    assert found.places.numpy() == pytest.approx(rows @ directions.T)
    assert found.places[0, 0] <= 0 <= found.places[0, 1]
    rest = rows - (rows @ directions.T) @ directions
    assert found.off_plane.numpy() == pytest.approx(np.linalg.norm(rest, axis=1), abs=1e-6)
    assert found.farthest == pytest.approx(np.linalg.norm(rows, axis=1).max())


def test_the_plane_goes_through_the_last_checkpoint_along_both_components():
    models = walk()
    found = trajectory_plane(models, names=NAMES, resolution=3)
    plane = found.plane
    components = principal_components(models, NAMES)
    checks = check_plane(plane, list(found.on_plane.values()), NAMES)
    assert checks.lengths == pytest.approx((1, 1), rel=1e-5)
    assert checks.cosine < 1e-5
    assert checks.corner_error == 0
    origin, along, across = (flat(m, NAMES) for m in plane.span.models)
    for place, (u, v) in zip(components.places, found.facts["trajectory"], strict=True):
        assert (u * plane.u_norm, v * plane.u_norm) == pytest.approx(place.tolist())
    row = torch.tensor([1 - 0.5 - 0.25, 0.5, 0.25], dtype=torch.float64)
    point = flat(combine(plane.span.models, row), NAMES)
    torch.testing.assert_close(point, origin + 0.5 * (along - origin) + 0.25 * (across - origin))
    assert list(found.on_plane) == ["end"]
    assert plane.positions["end"] == (0, 0)
    assert plane.positions["start"] == tuple(found.facts["trajectory"][0])
    distance = float((flat(models[0], NAMES) - origin).norm())
    assert plane.distances["start|end"] == pytest.approx(distance)
    u0, u1, v0, v1 = found.extent
    assert all(u0 < u < u1 and v0 < v < v1 for u, v in found.facts["trajectory"])
    statistics = [n for n in models[-1] if n.endswith("running_mean")]
    for name in statistics:
        assert all(torch.equal(m[name], models[-1][name]) for m in plane.span.models)


def test_checkpoints_on_a_line_have_one_component():
    first, second = (state(MODELS[0].module(seed)) for seed in (0, 1))
    names = list(first)
    models = [
        {n: first[n].double() + share * (second[n] - first[n]).double() for n in names}
        for share in (0, 0.25, 0.5, 1)
    ]
    found = trajectory_plane(models, names=names, resolution=3)
    assert found.plane.degenerate is not None
    assert "lie on one line" in found.plane.degenerate
    assert found.facts["explained"] == pytest.approx([1, 0])
    assert found.axes[1] == "a random direction"
    assert found.plane.orthonormality < 1e-12
    assert found.facts["off_plane"] == pytest.approx([0] * 4, abs=1e-6)


def test_what_is_no_trajectory():
    models = walk(3)
    with pytest.raises(LandscapeError, match="at least 3 checkpoints of a training, not 2"):
        trajectory_plane(models[:2], names=NAMES, resolution=3)
    with pytest.raises(LandscapeError, match="All checkpoints are the same model"):
        trajectory_plane([models[0]] * 3, names=NAMES, resolution=3)
    broken = models[0] | {NAMES[0]: torch.full_like(models[0][NAMES[0]], math.nan)}
    with pytest.raises(LandscapeError, match="NaN or infinite weights, so the trajectory"):
        trajectory_plane([broken, *models[1:]], names=NAMES, resolution=3)
