from __future__ import annotations

import weakref

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from engine.errors import LandscapeError
from engine.landscape import activation_bytes, choose_batch_size
from engine.landscape.loss import loss_sums
from engine.program import capture
from tests.landscape.oracle import program_of, state
from tests.models import MODELS


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of all memory that ops allocate and that some tensor still holds."""

    def __init__(self, known):
        super().__init__()
        self._known = {t.untyped_storage().data_ptr() for t in known}
        self._holders: dict[int, int] = {}
        self._sizes: dict[int, int] = {}
        self.peak = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor):
                self._hold(tensor)
        return result

    def _hold(self, tensor):
        place = tensor.untyped_storage().data_ptr()
        if place in self._known:
            return
        self._holders[place] = self._holders.get(place, 0) + 1
        self._sizes[place] = tensor.untyped_storage().nbytes()
        weakref.finalize(tensor, self._release, place)
        self.peak = max(self.peak, sum(self._sizes.values()))

    def _release(self, place):
        self._holders[place] -= 1
        if not self._holders[place]:
            del self._holders[place], self._sizes[place]


def measured(run, params, x, targets):
    with torch.inference_mode(), LiveBytes([*params.values(), x, targets]) as live:
        outputs = run(params, x)
        logits = outputs[0] if isinstance(outputs, tuple) else outputs
        del outputs
        loss_sums(logits[None], targets)
    return live.peak


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name)
@pytest.mark.parametrize("batch", [1, 40])
def test_the_estimate_bounds_what_is_alive(model, batch):
    program, params, x = program_of(model), state(model.module()), None
    x = model.inputs(batch)
    # Per-sample numbers below a page of memory are not what the bound is about.
    estimate = activation_bytes(program, batch) + 4096
    targets = torch.zeros(batch, dtype=torch.int64)
    peak = measured(program, params, x, targets)
    assert 0 < peak <= estimate
    if program.batch_norms and batch > 1:
        assert measured(program.with_batch_statistics(), params, x, targets) <= estimate


def test_a_view_keeps_alive_what_it_views():
    module = nn.Sequential(
        nn.Linear(4, 64), nn.Unflatten(1, (8, 8)), nn.Linear(8, 8), nn.Flatten(), nn.Linear(64, 2)
    )
    x, targets = torch.randn(40, 4), torch.zeros(40, dtype=torch.int64)
    program = capture(module, x)
    # The second layer reads a view of the first one's output while it makes its own.
    assert measured(program, state(module), x, targets) == 40 * 2 * 64 * 4
    assert activation_bytes(program, 40) == 40 * 2 * 64 * 4


def wide_convolutions():
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 4, 3, padding=1), nn.Flatten(),
        nn.Linear(4 * 16 * 16, 10),
    )  # fmt: skip


def test_the_estimate_of_a_convolution_is_close_and_linear_in_the_batch():
    module = wide_convolutions()
    x = torch.randn(32, 3, 16, 16)
    program = capture(module, x)
    peak = measured(program, state(module), x, torch.zeros(32, dtype=torch.int64))
    estimate = activation_bytes(program, 32)
    sample = 4 * 16 * 16
    assert peak == 32 * 2 * 16 * sample  # the first ReLU's input and output
    # The second convolution: input, output, and their reordered copies.
    assert estimate == 32 * 2 * (16 + 4) * sample
    assert activation_bytes(program, 320) == 10 * estimate
    assert activation_bytes(program, 32, itemsize=8) == 2 * estimate


def test_the_batch_size_suits_the_kind_of_model():
    for model in MODELS:
        program = program_of(model)
        assert choose_batch_size(program) == (500 if model.name.startswith("mlp") else 125)
        assert choose_batch_size(program, 7) == 7


@pytest.mark.parametrize("bound", [1 << 17, 1 << 18, 1 << 20, 1 << 30])
def test_the_batch_size_keeps_to_the_bound(bound):
    module = wide_convolutions()
    program = capture(module, torch.randn(2, 3, 16, 16))
    size = choose_batch_size(program, 1000, memory_bound=bound)
    assert activation_bytes(program, size) <= bound
    assert size == 1000 or activation_bytes(program, size + 1) > bound


def test_a_sample_that_exceeds_the_bound_is_refused():
    program = capture(wide_convolutions(), torch.randn(2, 3, 16, 16))
    with pytest.raises(LandscapeError, match=r"One sample takes 0\.0 MiB of activations"):
        choose_batch_size(program, memory_bound=100)


def test_an_empty_batch_is_refused():
    program = program_of(MODELS[0])
    with pytest.raises(LandscapeError, match="at least 1 sample; 0 was asked"):
        choose_batch_size(program, 0)


@pytest.mark.parametrize("chunk", [1 << 16, 1 << 30])
def test_the_loss_of_a_large_vocabulary_is_bounded_by_the_chunk_it_widens(chunk, monkeypatch):
    monkeypatch.setattr("engine.landscape.loss.CHUNK_BYTES", chunk)
    monkeypatch.setattr("engine.landscape.memory.CHUNK_BYTES", chunk)
    module = nn.Sequential(nn.Embedding(1000, 4), nn.Linear(4, 1000))
    x = torch.zeros(8, 16, dtype=torch.int64)
    program = capture(module, x)
    scores = 8 * 16 * 1000 * 4
    estimate = activation_bytes(program, 8)
    assert estimate == scores + 4 * min(2 * scores, chunk)
    peak = measured(program, state(module), x, x)
    assert scores < peak <= estimate + (1 << 15)  # per-token numbers
    if chunk < scores:
        assert peak < 2 * scores
