from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from engine.errors import CancelledError, LandscapeError
from engine.landscape import check_plane, evaluate
from engine.landscape.planes import (
    Eigenpairs,
    HessianProduct,
    hessian_plane,
    moved_names,
    top_eigenpairs,
)
from engine.program import capture
from tests.landscape.oracle import Data, losses, setting
from tests.landscape.planes.oracle import dense_hessian, flat
from tests.models import MODELS

NAMED = {model.name: model for model in MODELS}


def tiny():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3)).double()


@pytest.mark.parametrize("name", ["mlp-layernorm", "vgg-batchnorm"])
def test_products_are_those_of_the_dense_hessian(name):
    model = NAMED[name]
    program, (own, *_), data = setting(model, 6, 1)
    names = moved_names(program)
    module = model.module()
    order = [n for n, _ in module.named_parameters()]
    assert list(names) == order
    dense = dense_hessian(module, data.inputs, data.targets)
    wide = {n: t.double() if t.is_floating_point() else t for n, t in own.items()}
    product = HessianProduct(program, wide, names, data, batch_size=4)
    generator = torch.Generator().manual_seed(0)
    vector = torch.randn(product.size, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(product(vector), dense @ vector, rtol=1e-7, atol=1e-9)
    half = HessianProduct(program, own, names, data)
    torch.testing.assert_close(half(vector), dense @ vector, rtol=1e-3, atol=1e-3)


def test_attention_and_tokens_have_second_derivatives():
    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.words = nn.Embedding(7, 4)
            self.mix = nn.Linear(4, 12)
            self.out = nn.Linear(4, 7)

        def forward(self, tokens):
            q, k, v = self.mix(self.words(tokens))[:, None].chunk(3, dim=-1)
            mixed = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            return self.out(mixed[:, 0])

    torch.manual_seed(1)
    reader = Reader().eval()
    tokens = torch.randint(0, 7, (4, 5))
    targets = torch.randint(0, 7, (4, 5))
    targets[0, :2] = -100
    program = capture(reader, tokens)
    state = {n: t.double() for n, t in reader.state_dict().items()}
    product = HessianProduct(program, state, moved_names(program), Data(tokens, targets))
    vector = torch.randn(product.size, dtype=torch.float64)
    held = torch.cat([t.reshape(-1) for t in state.values()])

    def slope(at):
        parts = {n: t.requires_grad_() for n, t in product.split(at).items()}
        logits = program(parts, tokens)
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
        return torch.cat([g.reshape(-1) for g in torch.autograd.grad(loss, list(parts.values()))])

    step = 1e-5
    expected = (slope(held + step * vector) - slope(held - step * vector)) / (2 * step)
    torch.testing.assert_close(product(vector), expected, rtol=1e-5, atol=1e-7)


def test_the_loss_along_an_eigenvector_bends_by_its_eigenvalue():
    module = tiny()
    inputs = torch.randn(20, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    data = Data(inputs, torch.arange(20) % 3)
    program = capture(module, inputs)
    own = dict(module.state_dict())
    names = moved_names(program)
    product = HessianProduct(program, own, names, data)
    pairs = top_eigenpairs(product, product.size)
    values = torch.linalg.eigvalsh(dense_hessian(module, inputs, data.targets)).flip(0)[:2]
    torch.testing.assert_close(pairs.values, values)
    found = hessian_plane(own, pairs, names=names, resolution=3, extent=(-0.01, 0.01, -0.01, 0.01))
    loss = evaluate(program, found.plane.span, found.plane.coefficients, data).loss.view(3, 3)
    bends = (
        (loss[1, 0] + loss[1, 2] - 2 * loss[1, 1]) / 1e-4,
        (loss[0, 1] + loss[2, 1] - 2 * loss[1, 1]) / 1e-4,
    )
    assert [float(b) for b in bends] == pytest.approx(values.tolist(), rel=1e-2)
    first, second = (flat(m, names) - flat(own, names) for m in found.plane.span.models[1:])
    assert (float(first.norm()), float(second.norm())) == pytest.approx((1, 1))
    assert found.plane.orthonormality < 1e-9
    checks = check_plane(found.plane, [own], names)
    assert checks.lengths == pytest.approx((1, 1))
    assert checks.corner_error == 0
    assert float(loss[1, 1]) == pytest.approx(float(losses(module, own, data)[0].mean()))
    assert found.facts["eigenvalues"] == pytest.approx(values.tolist())
    wide = hessian_plane(own, pairs, names=names, resolution=3)
    reach = min(math.sqrt(8 / float(values[0])), float(flat(own, names).norm()))
    assert wide.extent[1] == pytest.approx(reach, rel=0.06)


def test_a_saddle_or_maximum_is_drawn_out_to_the_models_norm():
    own = {"w": torch.tensor([3.0, 4.0])}
    pairs = Eigenpairs(torch.tensor([-1.0, -2.0]), torch.eye(2).double(), torch.zeros(2), 4)
    assert hessian_plane(own, pairs, names=["w"], resolution=3).extent == (-5, 5, -5, 5)


class Steps(nn.Module):
    """A network whose output is cut from its weights."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3, 2))

    def forward(self, x):
        return torch.round((x @ self.weight).detach())


def test_what_has_no_hessian_says_so():
    inputs = torch.randn(4, 3)
    data = Data(inputs, torch.zeros(4, dtype=torch.int64))
    program = capture(Steps(), inputs)
    product = HessianProduct(program, Steps().state_dict(), ["weight"], data)
    with pytest.raises(LandscapeError, match=r"cannot be differentiated twice \(no parameter"):
        product(torch.ones(6))
    module = tiny().float()
    program = capture(module, inputs)
    names = moved_names(program)
    broken = dict(module.state_dict()) | {"0.bias": torch.full((4,), math.nan)}
    with pytest.raises(LandscapeError, match="not finite at this model"):
        HessianProduct(program, broken, names, data)(torch.ones(31))
    with pytest.raises(LandscapeError, match="at least one sample"):
        HessianProduct(program, module.state_dict(), names, Data(inputs[:0], data.targets[:0]))
    stopped = HessianProduct(program, module.state_dict(), names, data, should_stop=lambda: True)
    with pytest.raises(CancelledError, match="was cancelled"):
        stopped(torch.ones(31))


def test_a_loss_that_is_linear_has_a_hessian_of_zeros():
    linear = nn.Linear(3, 1, bias=False)
    inputs = torch.zeros(4, 3)
    program = capture(linear, inputs)
    data = Data(inputs, torch.ones(4, 1))
    product = HessianProduct(program, linear.state_dict(), ["weight"], data)
    assert not product(torch.ones(3)).any()
