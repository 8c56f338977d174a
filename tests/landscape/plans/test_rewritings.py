"""The rewritings one by one: where a graph is cut, what folds, what is written over."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from engine.landscape.plans.channels import channel_weights, without_views
from engine.landscape.plans.cost import operations
from engine.landscape.plans.cut import cut
from engine.landscape.plans.fold import folded
from engine.landscape.plans.hoist import hoisting
from engine.landscape.plans.reuse import reusing
from engine.program import capture
from tests.landscape.oracle import program_of, state
from tests.models import MODELS


def targets(program):
    return [str(n.target) for n in program.graph_module.graph.nodes if n.op == "call_function"]


class Patches(nn.Module):
    """The first layers of a vision transformer, and an input that is added later."""

    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, 6, 4, 4)
        self.token = nn.Parameter(torch.randn(1, 1, 6))
        self.place = nn.Parameter(torch.randn(1, 5, 6))
        self.norm = nn.LayerNorm(6)
        self.head = nn.Linear(6, 2)

    def forward(self, x):
        tokens = self.patch(x * 2).flatten(2).transpose(1, 2)
        tokens = torch.cat((self.token.expand(x.shape[0], -1, -1), tokens), 1) + self.place
        return self.head(self.norm(tokens).mean(1)) + x.mean((1, 2, 3))[:, None]


def test_a_cut_is_as_late_as_values_stay_affine():
    module = Patches()
    x = torch.randn(3, 3, 8, 8)
    program = capture(module, x)
    found = hoisting(program)
    nodes = {n.name: n for n in program.graph_module.graph.nodes}
    assert [str(nodes[name].target) for name in found.frontier] == ["aten.add.Tensor"]
    assert found.numbers == 5 * 6
    assert found.operations == 2 * 4 * 6 * 3 * 16
    parts = cut(program, found.frontier)
    assert set(parts.rest.parameters) == {"norm.weight", "norm.bias", "head.weight", "head.bias"}
    assert set(parts.first.parameters) == {"patch.weight", "patch.bias", "token", "place"}
    values = parts.first(state(module), x)
    torch.testing.assert_close(parts.rest(state(module), x, *values), module(x))


class Quadratic(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.randn(4))
        self.first = nn.Linear(4, 4)

    def forward(self, x):
        return self.first(x * self.scale)


def test_products_of_two_parameters_are_not_affine():
    module = Quadratic()
    program = capture(module, torch.randn(2, 4))
    nodes = {n.name: n for n in program.graph_module.graph.nodes}
    assert [str(nodes[name].target) for name in hoisting(program).frontier] == ["aten.mul.Tensor"]


class LastAffine(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(9, 5)

    def forward(self, tokens):
        return torch.relu(self.table(tokens).mean(1) / 3 - 1)


def test_embeddings_and_means_are_affine_and_a_relu_is_not():
    module = LastAffine()
    program = capture(module, torch.zeros(2, 4, dtype=torch.int64))
    nodes = {n.name: n for n in program.graph_module.graph.nodes}
    found = hoisting(program)
    assert [str(nodes[name].target) for name in found.frontier] == ["aten.sub.Tensor"]
    assert not found.pays


def test_operations_are_twice_the_products():
    program = program_of(MODELS[3])
    counted = {n.name: operations(n) for n in program.graph_module.graph.nodes if operations(n)}
    assert counted == {
        "conv2d": 2 * 4 * 64 * 2 * 9,
        "conv2d_1": 2 * 6 * 16 * 4 * 9,
        "linear": 2 * 24 * 5,
        "linear_1": 2 * 5 * 3,
    }


class Norms(nn.Module):
    """BatchNorms that fold (with and without bias, without scale) and that may not."""

    def __init__(self):
        super().__init__()
        self.one, self.a = nn.Conv2d(2, 4, 3, bias=False), nn.BatchNorm2d(4)
        self.two, self.b = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4, affine=False)
        self.three, self.c = nn.Conv2d(4, 4, 1, groups=2), nn.BatchNorm2d(4)
        self.four, self.d = nn.Linear(4, 3, bias=False), nn.BatchNorm1d(3)
        self.tied, self.e, self.f = nn.Linear(3, 3), nn.BatchNorm1d(3), nn.BatchNorm1d(3)

    def forward(self, x):
        x = self.b(self.two(F.relu(self.a(self.one(x)))))
        y = self.three(x)  # read twice: it may not fold
        x = (self.c(y) + y).mean((2, 3))
        x = self.d(self.four(x))
        return self.f(self.tied(self.e(self.tied(x))))


def random_norms(module):
    for part in module.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 2)
            if part.affine:
                nn.init.normal_(part.weight)
                nn.init.normal_(part.bias)
    return module.eval()


def test_batch_norms_fold_where_nobody_else_reads_what_is_overwritten():
    torch.manual_seed(0)
    module, x = random_norms(Norms()), torch.randn(5, 2, 6, 6)
    program, folds = folded(capture(module, x))
    assert [fold.mean for fold in folds] == [f"{n}.running_mean" for n in "abd"]
    assert targets(program).count("aten.batch_norm.default") == 3
    point = state(module)
    for fold in folds:
        fold.apply(point)
    torch.testing.assert_close(program(point, x), module(x), rtol=1e-5, atol=1e-5)


def test_a_negative_variance_is_nan_as_in_the_norm_itself():
    module, x = random_norms(Norms()), torch.randn(5, 2, 6, 6)
    program, folds = folded(capture(module, x))
    point = state(module)
    point["d.running_var"][1] = -1.0
    assert capture(module, x)(point, x).isnan().any()
    for fold in folds:
        fold.apply(point)
    assert program(point, x).isnan().any()


class Reuses(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        x = x.relu()  # an input is never written to
        h = self.one(x)
        kept = h.tanh()  # `h` is read again
        z = F.silu(self.two(h + kept))  # both written over
        return z[:, :2].relu() + z.sum(1, keepdim=True) + z[:, 2:]


def test_memory_is_reused_only_where_nobody_reads_it_again():
    module, x = Reuses(), torch.randn(3, 4)
    program = reusing(capture(module, x))
    names = targets(program)
    assert names.count("aten.relu.default") == 2
    assert names.count("aten.tanh.default") == 1
    assert names.count("aten.silu_.default") == 1
    before, params = x.clone(), state(module)
    assert torch.equal(program(params, x), capture(module, x)(params, x))
    assert torch.equal(x, before)
    assert all(torch.equal(tensor, state(module)[name]) for name, tensor in params.items())


class Doubled(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = nn.Linear(4, 4)

    def forward(self, x):
        h = self.one(x)
        return h + h


def test_a_tensor_added_to_itself_is_left_alone():
    module, x = Doubled(), torch.randn(3, 4)
    program = reusing(capture(module, x))
    torch.testing.assert_close(program(state(module), x), module(x).detach())
    assert "aten.add.Tensor" in targets(program)


class Viewed(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = nn.Conv2d(2, 3, 3)

    def forward(self, x):
        return self.one(x).view(x.shape[0], -1)


def test_views_become_reshapes_so_that_any_layout_may_come_in():
    module, x = Viewed(), torch.randn(3, 2, 5, 5)
    program = capture(module, x)
    assert channel_weights(program) == {"one.weight"}
    last = x.contiguous(memory_format=torch.channels_last)
    wanted = module(x).detach()
    torch.testing.assert_close(without_views(program)(state(module), last), wanted)
