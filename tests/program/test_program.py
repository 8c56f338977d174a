"""A Program computes what its module computes, never mutates, and refuses what it must."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from engine.errors import CaptureError, ProgramError
from engine.program import Program, capture
from engine.program.functional import writes
from tests.models import MODELS, Model


def captured(model: Model) -> tuple[nn.Module, Program]:
    module = model.module()
    return module, capture(module, model.inputs(1))


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name)
def test_equals_its_module_for_any_batch_and_mutates_nothing(model):
    module, program = captured(model)
    params = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    for batch in (1, 2, 7):
        x = model.inputs(batch)
        assert torch.equal(program(params, x), module(x))
    program.with_batch_statistics()(params, model.inputs(4))
    for name, tensor in module.state_dict().items():
        assert torch.equal(params[name], tensor)


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name)
def test_runs_in_float64_by_its_parameters_alone(model):
    module, program = captured(model)
    x = model.inputs(3).double()
    assert torch.equal(program(module.double().state_dict(), x), module(x))


def test_parameters_are_the_floating_state_and_know_what_is_trained():
    module, program = captured(next(m for m in MODELS if m.name == "vgg-batchnorm"))
    floating = {n for n, t in module.state_dict().items() if t.is_floating_point()}
    assert set(program.parameters) == floating
    trained = {n for n, spec in program.parameters.items() if spec.trainable}
    assert trained == {n for n, _ in module.named_parameters()}
    assert program.statistics_names == floating - trained
    assert [site.channels for site in program.batch_norms] == [4, 6]


@pytest.mark.parametrize("name", ["vgg-batchnorm", "resnet-a", "resnet-b"])
def test_batch_statistics_are_those_of_a_training_forward(name):
    module, program = captured(next(m for m in MODELS if m.name == name))
    params = {n: t.clone() for n, t in module.state_dict().items()}
    x = next(m for m in MODELS if m.name == name).inputs(6)
    outputs, statistics = program.with_batch_statistics()(params, x)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.train()
            part.momentum = 1.0
    torch.testing.assert_close(outputs, module(x))
    state = module.state_dict()
    for site, found in zip(program.batch_norms, statistics, strict=True):
        torch.testing.assert_close(found.mean, state[site.running_mean])
        torch.testing.assert_close(found.variance, state[site.running_var])
        assert found.count == 6 * program_positions(program, site.node)


def program_positions(program, node):
    value = next(n for n in program.graph_module.graph.nodes if n.name == node).meta["val"]
    return int(value.shape[2:].numel())


def test_taps_return_the_values_of_nodes():
    module, program = captured(MODELS[0])
    x = MODELS[0].inputs(3)
    outputs, values = program.tapped(["relu", "linear_1"])(module.state_dict(), x)
    assert torch.equal(values["relu"], module[:3](x))
    assert torch.equal(values["linear_1"], module[:4](x))
    assert torch.equal(outputs, module(x))
    with pytest.raises(ProgramError, match="no node named nothing"):
        program.tapped(["nothing"])


def test_renaming_keeps_the_function():
    module, program = captured(MODELS[0])
    x = MODELS[0].inputs(3)
    new = program.renamed({"1.weight": "first.weight"})
    params = dict(module.state_dict())
    params["first.weight"] = params.pop("1.weight")
    assert torch.equal(new(params, x), module(x))
    assert new.fingerprint != program.fingerprint
    with pytest.raises(ProgramError, match="no parameter is named zzz"):
        program.renamed({"zzz": "a"})
    with pytest.raises(ProgramError, match="the same name"):
        program.renamed({"1.weight": "1.bias"})


def test_equal_architectures_have_equal_fingerprints():
    prints = {m.name: captured(m)[1].fingerprint for m in MODELS}
    assert len(set(prints.values())) == len(MODELS)
    assert captured(MODELS[3])[1].fingerprint == prints[MODELS[3].name]


def test_wrong_parameters_and_inputs_are_named():
    module, program = captured(MODELS[0])
    params = dict(module.state_dict())
    x = MODELS[0].inputs(2)
    with pytest.raises(ProgramError, match=r"parameters are missing: 1\.weight"):
        program({n: t for n, t in params.items() if n != "1.weight"}, x)
    with pytest.raises(ProgramError, match=r"1.bias is \[7\], not \[6\]"):
        program(params | {"1.bias": torch.zeros(7)}, x)
    with pytest.raises(ProgramError, match=r"is \[2, 5\], not \[batch, 12\]"):
        program(params, torch.zeros(2, 5))
    with pytest.raises(ProgramError, match="takes 1 inputs, got 2"):
        program(params, x, x)


def test_an_error_inside_the_graph_is_a_program_error():
    module, program = captured(MODELS[0])
    with pytest.raises(ProgramError, match="could not be run"):
        program(module.state_dict(), MODELS[0].inputs(2).double())


class Tied(nn.Module):
    """Shared weights, an integer buffer, a constant, and logits in a mapping."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(7, 4)
        self.head = nn.Linear(4, 7, bias=False)
        self.head.weight = self.embedding.weight
        self.register_buffer("scale", torch.arange(3))
        self.shift = torch.ones(4)

    def forward(self, tokens):
        hidden = self.embedding(tokens) + self.shift
        return {"tokens": tokens, "logits": self.head(hidden).sum(1) * self.scale[2]}


def test_tied_parameters_are_one_and_tokens_stay_in_the_vocabulary():
    module = Tied()
    program = capture(module, torch.zeros(1, 3, dtype=torch.long))
    assert list(program.parameters) == ["embedding.weight"]
    assert dict(program.aliases) == {"head.weight": "embedding.weight"}
    (tokens,) = program.sample_inputs(50, torch.Generator().manual_seed(0))
    assert tokens.min() == 0
    assert tokens.max() == 6
    assert torch.equal(program(module.state_dict(), tokens), module(tokens)["logits"])


class InPlace(nn.Module):
    """Writes to intermediates and to its input, plainly or through a view."""

    def __init__(self, through_a_view: bool) -> None:
        super().__init__()
        self.through_a_view = through_a_view
        self.conv = nn.Conv2d(2, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.drop = nn.Dropout(inplace=True)

    def forward(self, x):
        x.mul_(2)
        y = self.norm(self.conv(x))
        z = nn.functional.relu(y, inplace=True)
        y = self.drop(self.conv(x)) + y
        y += z
        if self.through_a_view:
            y[:, :1] = y[:, 1:2] * 3
        return y.mean((2, 3)) + x.sum((1, 2, 3))[:, None]


@pytest.mark.parametrize("through_a_view", [False, True])
def test_in_place_ops_become_functional(through_a_view):
    module = InPlace(through_a_view).eval()
    module.norm.running_mean += torch.tensor([0.3, -0.2, 0.1, 0.5])
    x = torch.randn(3, 2, 4, 4)
    program = capture(module, x.clone())
    assert not any(writes(node) for node in program.graph_module.graph.nodes)
    before = x.clone()
    outputs = program(module.state_dict(), x)
    assert torch.equal(x, before)
    torch.testing.assert_close(outputs, module(x))
    assert [site.channels for site in program.batch_norms] == [4]


class Drops(nn.Module):
    def forward(self, x):
        return nn.functional.dropout(x, 0.5, training=True)


class Branches(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


class Counts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, x):
        self.calls += 1
        return x


class CountsThroughAView(Counts):
    def forward(self, x):
        self.calls[:1] += 1
        return x * self.calls


class Mixes(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(4, track_running_stats=False)

    def forward(self, x):
        return self.norm(x)


class FixedBatch(nn.Module):
    def forward(self, x):
        return x.view(2, 4)


class NoTensor(nn.Module):
    def forward(self, x):
        return 3


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (Drops(), "random in eval mode"),
        (Branches(), "Branches cannot be traced"),
        (Counts(), "writes to calls"),
        (CountsThroughAView(), "writes to calls"),
        (Mixes(), "no running statistics"),
        (FixedBatch(), "cannot be traced"),
        (NoTensor(), "must return logits"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_unsuitable_modules_are_refused_with_the_reason(module, reason):
    with pytest.raises(CaptureError, match=reason):
        capture(module, torch.randn(2, 4))


def test_examples_need_a_batch_and_the_module_stays_in_training_mode():
    module = nn.Sequential(nn.Linear(4, 2), nn.Dropout())
    module.train()
    capture(module, torch.randn(1, 4))
    assert module.training
    assert module[1].training
    with pytest.raises(CaptureError, match=r"\[batch, …\]"):
        capture(module, torch.tensor(1.0))
