from __future__ import annotations

import math

import pytest
import torch

from engine.errors import LandscapeError
from engine.landscape import check_plane, evaluate
from engine.landscape.planes import moved_names, random_plane
from tests.landscape.oracle import combine, losses, setting
from tests.landscape.planes.oracle import flat
from tests.models import MODELS

MLP, BATCH_NORM = MODELS[0], MODELS[3]


def laid(model=MLP, **more):
    program, models, data = setting(model, 4, 1)
    names = moved_names(program)
    return (
        program,
        models[0],
        names,
        data,
        random_plane(models[0], names=names, resolution=3, **more),
    )


def steps(found, model, names):
    return [flat(end, names) - flat(model, names) for end in found.plane.span.models[1:]]


@pytest.mark.parametrize("model", [MLP, BATCH_NORM], ids=lambda m: m.name)
def test_every_filter_has_the_models_norm_and_vectors_stay(model):
    _, own, names, _, found = laid(model)
    for end in found.plane.span.models[1:]:
        for name, tensor in own.items():
            step = end[name].double() - tensor.double()
            if name not in names or tensor.ndim < 2:
                assert not step.any(), name
                continue
            for row, filter_ in zip(step, tensor.double(), strict=True):
                assert float(row.norm()) == pytest.approx(float(filter_.norm()), rel=1e-5)
    moved = sum(own[n].double().square().sum() for n in names if own[n].ndim > 1).sqrt()
    assert found.plane.u_norm == pytest.approx(float(moved))
    assert found.facts["moved"] == sum(own[n].ndim > 1 for n in names)
    assert found.facts["still_parameters"] == sum(own[n].numel() for n in names if own[n].ndim < 2)


def test_the_angle_of_the_two_directions_is_stated_and_measured():
    _, own, names, _, found = laid()
    first, second = steps(found, own, names)
    cosine = float(first @ second / first.norm() / second.norm())
    assert cosine != 0
    assert found.plane.orthonormality == pytest.approx(abs(cosine), rel=1e-5)
    assert found.plane.angle_degrees == pytest.approx(math.degrees(math.acos(cosine)), rel=1e-6)
    checks = check_plane(found.plane, list(found.on_plane.values()), names)
    assert checks.lengths == pytest.approx((1, 1), rel=1e-5)
    assert checks.cosine == pytest.approx(abs(cosine), abs=1e-5)
    assert checks.corner_error == 0


@pytest.mark.parametrize("scaling", ["layer", "model"])
def test_other_scalings_keep_the_norms_that_they_name(scaling):
    _, own, names, _, found = laid(scaling=scaling, vectors=True)
    (step, _) = steps(found, own, names)
    assert float(step.norm()) == pytest.approx(float(flat(own, names).norm()), rel=1e-5)
    end = found.plane.span.models[1]
    layers = [float((end[n] - own[n]).norm() / own[n].norm()) for n in names]
    assert (layers == pytest.approx([1] * len(layers), rel=1e-5)) is (scaling == "layer")


def test_grid_points_are_the_model_plus_both_directions():
    program, own, names, data, found = laid()
    first, second = steps(found, own, names)
    places = [(u, v) for v in (-1.0, 0.0, 1.0) for u in (-1.0, 0.0, 1.0)]
    tally = evaluate(program, found.plane.span, found.plane.coefficients, data)
    for number, (u, v) in enumerate(places):
        row = found.plane.coefficients[number]
        point = combine(found.plane.span.models, row)
        torch.testing.assert_close(flat(point, names), flat(own, names) + u * first + v * second)
        expected = losses(MLP.module(), point, data)[0].mean()
        assert float(tally.loss[number]) == pytest.approx(float(expected), rel=1e-5)
    assert found.plane.coefficients[4].tolist() == [1, 0, 0]


def test_the_seed_decides():
    ends = [laid(seed=seed)[-1].plane.span.models[2]["1.weight"] for seed in (3, 3, 4)]
    assert torch.equal(ends[0], ends[1])
    assert not torch.equal(ends[0], ends[2])


def test_what_cannot_be_asked():
    with pytest.raises(LandscapeError, match="no scaling 'unit'; there are filter, layer, model"):
        laid(scaling="unit")
    with pytest.raises(LandscapeError, match="no tensor of two or more dimensions"):
        random_plane({"w": torch.ones(3)}, names=["w"], resolution=3)
    for weight in (torch.zeros(2, 2), torch.full((2, 2), math.nan)):
        with pytest.raises(LandscapeError, match="direction of the plane is zero or not finite"):
            random_plane({"w": weight}, names=["w"], resolution=3)
