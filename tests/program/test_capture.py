"""What modules of other people do: several inputs at once, casts, ties, shared memory."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from engine.errors import CaptureError, ProgramError
from engine.program import capture


class Several(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, *inputs):
        return self.linear(sum(inputs))


class OneAndMore(Several):
    def forward(self, x, *more):
        return self.linear(x - sum(more))


@pytest.mark.parametrize("kind", [Several, OneAndMore])
@pytest.mark.parametrize("count", [1, 3])
def test_a_forward_may_take_any_number_of_inputs(kind, count):
    module = kind()
    program = capture(module, tuple(torch.randn(2, 4) for _ in range(count)))
    inputs = tuple(torch.randn(5, 4) for _ in range(count))
    assert len(program.inputs) == count
    torch.testing.assert_close(program(module.state_dict(), *inputs), module(*inputs))


class Casts(nn.Module):
    """A mask made in the forward, a cast to float32, and one back to the traced precision."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.head = nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x):
        hidden = self.linear(x).float() @ torch.ones(4, 4).triu()
        mask = torch.ones(4).cumsum(0).float() > 1
        return self.head(hidden.masked_fill(mask, 2.0).to(self.head.weight.dtype))


@pytest.mark.parametrize("traced", [torch.float32, torch.bfloat16])
def test_a_program_runs_in_the_precision_of_its_parameters(traced):
    module = Casts()
    program = capture(module.to(traced), torch.randn(2, 4, dtype=traced))
    for dtype in (torch.float32, torch.float64):
        params = {name: tensor.to(dtype) for name, tensor in module.state_dict().items()}
        x = torch.randn(3, 4, dtype=dtype)
        hidden = x @ params["linear.weight"].T + params["linear.bias"]
        hidden = hidden @ torch.ones(4, 4, dtype=dtype).triu()
        hidden[:, 1:] = 2
        expected = hidden @ params["head.weight"].T + params["head.bias"]
        got = program(params, x)
        assert got.dtype == dtype
        torch.testing.assert_close(got, expected)


def test_casts_are_kept_in_the_precision_of_the_trace():
    module = Casts().bfloat16()
    x = torch.randn(3, 4, dtype=torch.bfloat16)
    program = capture(module, x)
    assert torch.equal(program(module.state_dict(), x), module(x))


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Embedding(7, 4)
        self.last = nn.Linear(4, 7, bias=False)
        self.last.weight = self.first.weight

    def forward(self, tokens):
        return self.last(self.first(tokens).sum(1))


def test_a_tied_parameter_is_found_under_either_name():
    module, tokens = Tied(), torch.randint(7, (3, 2))
    program = capture(module, tokens)
    weight, expected = module.first.weight.detach(), module(tokens)
    for names in (["first.weight"], ["last.weight"], ["first.weight", "last.weight"]):
        params = dict.fromkeys(names, weight)
        assert torch.equal(program(params, tokens), expected)
        assert program.named(params) == {"first.weight": weight}
        own = program.under_names(names)
        assert list(own.parameters) == names[:1]
        assert torch.equal(own(params, tokens), expected)
        assert set(own.aliases) == {"first.weight", "last.weight"} - set(names[:1])
    with pytest.raises(ProgramError, match=r"missing: first\.weight"):
        program({}, tokens)


class MinusTheOthers(Several):
    def forward(self, x):
        return self.linear(x - x.mean(0))


class LooksBack(Several):
    def forward(self, x):
        return self.linear(x.cumsum(0))


class Chosen(Several):
    def forward(self, x):
        return self.linear(x)[(x[:, 0] > 0).nonzero()[:, 0]]


class Total(Several):
    def forward(self, x):
        return self.linear(x).sum(0)


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (MinusTheOthers(), "depend on the other samples"),
        (LooksBack(), "depend on the other samples"),
        (Total(), "one row of outputs per sample"),
        (Chosen(), "how many rows the forward returns depends"),
    ],
)
def test_outputs_that_mix_samples_are_refused(module, reason):
    with pytest.raises(CaptureError, match=reason):
        capture(module, torch.randn(2, 4))


class WritesThroughDropout(Several):
    def forward(self, x):
        x = self.linear(x)
        y = nn.functional.dropout(x, training=self.training)
        y.add_(1)
        return x * y


def test_idle_dropout_shares_the_memory_of_its_input():
    module, x = WritesThroughDropout().eval(), torch.randn(3, 4)
    assert torch.equal(capture(module, x)(module.state_dict(), x), module(x))


def test_tokens_stay_in_a_table_of_one_row():
    module = nn.Sequential(nn.Embedding(1, 3), nn.Flatten())
    program = capture(module, torch.zeros(2, 2, dtype=torch.long))
    (tokens,) = program.sample_inputs(20, torch.Generator().manual_seed(0))
    assert tokens.max() == 0


class Applied(nn.Module):
    """A linear layer and what a function makes of its outputs."""

    def __init__(self, function):
        super().__init__()
        self.layer = nn.Linear(4, 3)
        self.function = function

    def forward(self, x):
        return self.function(self.layer(x))


class Complex(nn.Module):
    def __init__(self):
        super().__init__()
        self.phase = nn.Parameter(torch.ones(4, dtype=torch.complex64))

    def forward(self, x):
        return (x * self.phase).abs()


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        # Too little to be seen as a mixing of samples.
        (Applied(lambda y: y + 1e-4 * torch.randn_like(y)), r"random in eval mode.*randn_like"),
        (Applied(nn.functional.gumbel_softmax), "random in eval mode"),
        (
            Applied(lambda y: y.sum()),
            r"one row .* per sample; it returns .*float32 of 0",
        ),
        (Applied(lambda y: y.argmax(1)), r"one row .* per sample; it returns .*int64"),
        (Complex(), "the parameter phase is complex"),
        (nn.functional.relu, r"made of an nn\.Module, not of a function"),
    ],
)
def test_modules_whose_numbers_would_mean_nothing_are_refused(module, reason):
    with pytest.raises(CaptureError, match=reason):
        capture(module, torch.randn(3, 4))


def test_idle_random_ops_are_no_reason_to_refuse():
    capture(Applied(lambda y: nn.functional.rrelu(nn.functional.dropout(y, 0.0))), torch.ones(3, 4))


@pytest.mark.parametrize("example", [[torch.ones(3, 4)], None, "x", torch.ones(3, 4).cfloat()])
def test_an_example_is_a_tensor_of_real_numbers(example):
    with pytest.raises(CaptureError, match="a tensor of real numbers, got"):
        capture(nn.Linear(4, 3), example)


class Viewed(nn.Module):
    """Token ids that are reshaped before they are looked up, as Hugging Face's GPT-2 does."""

    def __init__(self):
        super().__init__()
        self.words, self.types = nn.Embedding(11, 4), nn.Embedding(7, 4)

    def forward(self, tokens, mask):
        found = self.words(tokens.view(-1, tokens.shape[-1])) + self.types(
            tokens[:, :2].repeat(1, 2)
        )
        return (found * mask.unsqueeze(-1)).sum(1)


def test_the_vocabulary_is_seen_through_views():
    program = capture(Viewed(), (torch.zeros(3, 4).long(), torch.ones(3, 4).long()))
    assert [spec.high for spec in program.inputs] == [7, 2]
