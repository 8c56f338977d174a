"""The fingerprint: what it depends on and what it does not."""

from __future__ import annotations

import hashlib
import struct

import pytest
import torch

from engine.checkpoints import Checkpoint, about, fingerprint
from engine.errors import ProofError, SpecError, UnknownArchitectureError


def test_order_layout_and_gradients_do_not_matter():
    w = torch.arange(6.0).reshape(2, 3)
    v = torch.tensor(3)
    expected = fingerprint({"w": w, "v": v})
    assert expected == fingerprint({"v": v, "w": w.t().contiguous().t().requires_grad_()})
    assert len(expected) == 64


@pytest.mark.parametrize(
    "other",
    [
        {"x": torch.zeros(4)},
        {"w": torch.zeros(2, 2)},
        {"w": torch.zeros(4, dtype=torch.int32)},
        {"w": torch.tensor([0.0, 0.0, 0.0, -0.0])},
        {"w": torch.zeros(4), "x": torch.zeros(0)},
        {},
    ],
)
def test_names_shapes_dtypes_and_bits_matter(other):
    assert fingerprint({"w": torch.zeros(4)}) != fingerprint(other)


def test_it_is_the_same_on_every_machine():
    tensors = {"w": torch.tensor([1.0, 2.0]), "n": torch.tensor(3)}
    described = b'["n", "torch.int64", []]\n' + struct.pack("<q", 3)
    described += b'["w", "torch.float32", [2]]\n' + struct.pack("<2f", 1, 2)
    assert fingerprint(tensors) == hashlib.sha256(described).hexdigest()


@pytest.mark.parametrize("kind", [ProofError, UnknownArchitectureError])
def test_messages_about_weights_begin_with_the_files_name_once(kind):
    a = Checkpoint({}, fingerprint({}), "a.pt", "torch")
    with pytest.raises(kind, match=r"^a\.pt: no family$"), about(a), about(a):
        raise kind("no family")
    with pytest.raises(SpecError, match=r"^no option$"), about(a):
        raise SpecError("no option")
