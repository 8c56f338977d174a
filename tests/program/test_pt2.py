"""From a module to a `.pt2` and back: the same function, weights, groups and names."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import engine
from engine.checkpoints import read_checkpoint, write_checkpoint
from engine.checkpoints.pt2.operators import ATEN, RANDOM, UNWRITTEN, VALUE_DEPENDENT
from engine.errors import CaptureError, CheckpointError, ProgramError
from engine.program import capture, program_of, read_program, save_program
from engine.symmetry import derive_symmetry
from tests.models import MODELS
from tests.program.exported_files import Small, exported_bytes, small, small_bytes
from tests.symmetry import nets


def image(size: int, channels: int = 2) -> torch.Tensor:
    return torch.randn(2, channels, size, size, generator=torch.Generator().manual_seed(0))


TOKENS = torch.arange(10).reshape(2, 5)
NETS = {
    **{model.name: (model.module, model.inputs) for model in MODELS},
    "densenet": (nets.DenseNet, lambda: image(8)),
    "mobilenet": (nets.MobileNet, lambda: image(8)),
    "u-net": (nets.UNet, lambda: image(8)),
    "attention": (nets.Attention, lambda: TOKENS),
    "mixer": (nets.Mixer, lambda: image(8)),
    "resnext": (nets.resnext, lambda: image(16, 3)),
    "small": (small, lambda: torch.randn(2, 6)),
}


QUICK = ("vgg-batchnorm", "resnet-a", "u-net", "attention", "small")
CASES = [
    pytest.param(*NETS[name], id=name, marks=[] if name in QUICK else pytest.mark.slow)
    for name in NETS
]


@pytest.mark.parametrize(("build", "inputs"), CASES)
def test_a_round_trip_gives_the_same_program(build, inputs, tmp_path):
    module, x = build().eval(), inputs()
    path = tmp_path / "model.pt2"
    path.write_bytes(exported_bytes(module, x))
    program, params = read_program(path)
    own = capture(module, x)
    state = module.state_dict()
    assert set(params) == set(state)
    assert all(torch.equal(params[key], value) for key, value in state.items())
    assert program.parameters == own.parameters
    assert program.aliases == own.aliases
    assert program.inputs == own.inputs
    if not isinstance(module, Small):  # there torch calls the constant's detach otherwise
        assert program.fingerprint == own.fingerprint
    more = torch.cat([x, x, x])
    assert torch.equal(program(params, more), own(state, more))
    groups, expected = derive_symmetry(program).groups, derive_symmetry(own).groups
    assert groups == expected


def test_save_program_writes_what_it_reads_back_and_leaves_the_module_alone(tmp_path):
    module, path = small().train(), tmp_path / "model.pt2"
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    engine.save_program(module, torch.ones(1, 6), path)
    assert module.training
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.pt2"]
    assert b"exported_files.py" not in path.read_bytes(), "no line of the user's source is kept"
    program, params = engine.read_program(path)
    x = torch.randn(7, 6)
    torch.testing.assert_close(program(params, x), module.eval()(x))
    assert program.aliases == {"second.weight": "first.weight"}


class Random(Small):
    def forward(self, x):
        return super().forward(x + torch.randn_like(x))


class Fixed(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x):
        return self.layer(x.reshape(2, -1, 4)).flatten(0, 1)


def test_save_program_refuses_what_could_not_be_read(tmp_path):
    with pytest.raises(CheckpointError, match="it draws random numbers"):
        save_program(Random(), torch.ones(2, 6), tmp_path / "a.pt2")
    with pytest.raises(CaptureError, match=r"a\.pt must end in \.pt2"):
        save_program(small(), torch.ones(2, 6), tmp_path / "a.pt")
    with pytest.raises(CaptureError, match=r"made of an nn\.Module"):
        save_program(torch.relu, torch.ones(2, 6), tmp_path / "a.pt2")
    with pytest.raises(CheckpointError, match=r"reshape\.default\) cannot be computed: shape"):
        save_program(Fixed(), torch.ones(4, 4), tmp_path / "a.pt2")
    assert list(tmp_path.iterdir()) == []


def test_a_program_is_read_of_files_with_graphs_only(tmp_path):
    path = tmp_path / "a.safetensors"
    write_checkpoint(small().state_dict(), path)
    with pytest.raises(CheckpointError, match=r"a\.safetensors: it holds weights alone"):
        read_program(path)
    with pytest.raises(CheckpointError, match=r"weights alone, without a graph$"):
        program_of(read_checkpoint(path))


def test_half_precision_is_kept_and_computed_in_any(tmp_path):
    module = nn.Sequential(nn.Linear(6, 5), nn.GELU(), nn.Linear(5, 3)).bfloat16()
    x = torch.randn(4, 6)
    save_program(module, x.bfloat16(), tmp_path / "half.pt2")
    program, params = read_program(tmp_path / "half.pt2")
    assert {tensor.dtype for tensor in params.values()} == {torch.bfloat16}
    wide = {name: tensor.double() for name, tensor in params.items()}
    torch.testing.assert_close(program(wide, x.double()), module.double()(x.double()))


class Several(nn.Module):
    """Two inputs, one of them tokens, and a mapping as output, logits not first."""

    def __init__(self) -> None:
        super().__init__()
        self.token, self.plain = nn.Embedding(11, 4), nn.Linear(3, 4)
        self.head = nn.Linear(4, 5)

    def forward(self, tokens, features, scale: float = 2.0):
        hidden = self.token(tokens).mean(1) + self.plain(features) * scale
        return {"hidden": (hidden, None), "logits": self.head(hidden), "loss": None}


def test_several_inputs_and_a_mapping_of_outputs(tmp_path):
    module, inputs = Several(), (TOKENS, torch.randn(2, 3))
    path = tmp_path / "several.pt2"
    path.write_bytes(exported_bytes(module, *inputs))
    program, params = read_program(path)
    assert [(spec.name, spec.shape, spec.high) for spec in program.inputs] == [
        ("tokens", (5,), 11),
        ("features", (3,), 0),
    ]
    torch.testing.assert_close(program(params, *inputs), module(*inputs)["logits"])


def test_arguments_that_are_no_tensors_keep_their_values(tmp_path):
    module, inputs = Several(), (TOKENS, torch.randn(2, 3), 3.0)
    batch = {0: torch.export.Dim.DYNAMIC}
    path = tmp_path / "several.pt2"
    path.write_bytes(exported_bytes(module, *inputs, dynamic=(batch, batch, None)))
    program, params = read_program(path)
    torch.testing.assert_close(program(params, *inputs[:2]), module(*inputs)["logits"])


def test_a_further_free_size_is_settled_and_told(tmp_path):
    module = nn.Sequential(nn.Conv2d(2, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    sizes = dict.fromkeys((0, 2), torch.export.Dim.DYNAMIC)
    path = tmp_path / "free.pt2"
    path.write_bytes(exported_bytes(module, torch.randn(2, 2, 9, 8), dynamic=(sizes,)))
    checkpoint = read_checkpoint(path)
    assert checkpoint.notes == (
        "The input input may vary in dimension 2; the size of the export, 9, is used.",
    )
    assert program_of(checkpoint).inputs[0].shape == (2, 9, 8)


class Odd(nn.Module):
    """Names that are no identifiers, or that a module has a meaning for, and non-persistent."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ModuleDict({"layer-1": nn.Linear(4, 6), "a b": nn.Linear(6, 3)})
        self.register_buffer("shift", torch.arange(6.0), persistent=False)
        self.register_buffer("order", torch.tensor([2, 0, 1]))
        self._run = nn.Parameter(torch.ones(6))

    def forward(self, x):
        hidden = torch.tanh(self.parts["layer-1"](x) + self.shift * self._run)
        return self.parts["a b"](hidden)[:, self.order]


def test_odd_names_and_buffers_of_every_kind(tmp_path):
    module, x = Odd(), torch.randn(3, 4)
    path = tmp_path / "odd.pt2"
    path.write_bytes(exported_bytes(module, x))
    program, params = read_program(path)
    assert set(program.parameters) == {"_run"} | {
        f"parts.{part}.{leaf}" for part in ("layer-1", "a b") for leaf in ("weight", "bias")
    }
    torch.testing.assert_close(program(params, x), module(x))
    assert "shift" not in params
    with pytest.raises(ProgramError, match=r"parameters are missing: .*parts\.layer-1\.weight"):
        program({}, x)


class Wrapper(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.model = nn.Linear(4, 3)

    def forward(self, x):
        return self.model(x)


def test_wrapped_names_are_undone_in_the_graph_too(tmp_path):
    path = tmp_path / "wrapped.pt2"
    path.write_bytes(exported_bytes(Wrapper(), torch.randn(2, 4)))
    checkpoint = read_checkpoint(path)
    assert list(checkpoint.tensors) == ["weight", "bias"]
    assert set(program_of(checkpoint).parameters) == {"weight", "bias"}


def test_a_program_is_kept_by_content(tmp_path):
    for name in ("a.pt2", "b.pt2"):
        (tmp_path / name).write_bytes(small_bytes())
    first, second = (program_of(read_checkpoint(tmp_path / name)) for name in ("a.pt2", "b.pt2"))
    assert first is second


def test_the_list_of_operations_holds_nothing_random_or_unknown():
    idle = {"alpha_dropout", "dropout", "feature_alpha_dropout", "feature_dropout", "rrelu"}
    idle |= {
        "native_dropout",
        "gru",
        "lstm",
        "rnn_relu",
        "rnn_tanh",
        "scaled_dot_product_attention",
    }
    for name in ATEN:
        packet = getattr(torch.ops.aten, name)
        tags = {tag for overload in packet.overloads() for tag in getattr(packet, overload).tags}
        assert torch.Tag.nondeterministic_seeded not in tags or name in idle, name
    assert not ATEN & (RANDOM | UNWRITTEN | VALUE_DEPENDENT)
    assert not ATEN & {"from_file", "resize", "resize_as", "set", "set_data", "record_stream"}
