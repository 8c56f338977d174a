"""What a tensor from outside may be, whichever reader it came through."""

from __future__ import annotations

import pytest
import torch

from engine.checkpoints.admission import check_name, check_shape, check_tensor, reason, shown
from engine.checkpoints.limits import Limits
from engine.errors import CheckpointError, LimitError


def test_names_in_messages_are_short_and_printable():
    assert shown("conv1.weight") == "'conv1.weight'"
    assert shown("größe") == "'größe'"
    assert shown("a\u202eb\n") == r"'a\u202eb\n'"
    assert len(shown("x" * 10_000)) < 100
    deep = ()
    for _ in range(50_000):
        deep = (deep,)
    assert shown(deep) == "a tuple that cannot be shown"
    assert shown(10**5000) == "a int that cannot be shown"


def test_reasons_are_short_and_printable():
    assert reason(ValueError("first\nsecond")) == "first"
    assert reason(ValueError("a\x00b")) == "a�b"
    assert reason(ValueError()) == "ValueError"
    assert len(reason(ValueError("x" * 1000))) <= 160


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (3, "named by 3, a int; names must be text"),
        ("", "a tensor has an empty name"),
        ("a\x1bb", "holds control characters"),
        ("a\ud800", "holds control characters"),
    ],
)
def test_names_that_are_refused(name, message):
    with pytest.raises(CheckpointError, match=message):
        check_name(name, Limits())


def test_limits_on_names_and_axes():
    with pytest.raises(LimitError, match="has 9 characters, more than the limit of 8"):
        check_name("123456789", Limits(name_length=8))
    with pytest.raises(LimitError, match="tensor 'w' has 3 axes, more than the limit of 2"):
        check_shape("w", (1, 1, 1), Limits(dimensions=2))


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (torch.eye(2).to_sparse(), r"is not dense; save tensor\.to_dense\(\)"),
        (torch.ones(2, dtype=torch.complex64), "has dtype torch.complex64; only"),
        (torch.ones(2, device="meta"), "is on meta, not in the file"),
        (torch.ones(1).expand(9), "shows 36 bytes of a storage that holds 4"),
    ],
)
def test_tensors_that_are_refused(tensor, message):
    with pytest.raises(CheckpointError, match=message):
        check_tensor("w", tensor, Limits())


def test_what_is_admitted_stands_alone():
    whole = torch.arange(10.0, requires_grad=True)
    part = check_tensor("w", whole[2:4], Limits())
    assert part.untyped_storage().nbytes() == 8 and not part.requires_grad
    kept = torch.ones(3)
    assert check_tensor("w", kept, Limits()).data_ptr() == kept.data_ptr()
    assert check_tensor("w", torch.tensor(2.0), Limits()).shape == ()
