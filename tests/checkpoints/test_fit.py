"""Messages for pairs that do not fit, and for values that are no numbers."""

from __future__ import annotations

import pytest
import torch

from engine.checkpoints import Checkpoint, check_finite, check_fit, fingerprint
from engine.errors import MismatchError, NonFiniteError


def checkpoint(name, **tensors):
    return Checkpoint(tensors, fingerprint(tensors), name, "safetensors")


def test_equal_names_and_shapes_fit():
    a = checkpoint("a.pt", w=torch.ones(2, 3), num_batches_tracked=torch.tensor(1))
    check_fit(a, checkpoint("b.pt", w=torch.zeros(2, 3, dtype=torch.float16)))


def test_the_tensors_and_shapes_that_differ_are_named():
    a = checkpoint("a.pt", w=torch.ones(2, 3), v=torch.ones(4), s=torch.tensor(1.0))
    b = checkpoint("b.pt", w=torch.ones(3, 3), u=torch.ones(5))
    with pytest.raises(MismatchError) as caught:
        check_fit(a, b)
    assert str(caught.value) == (
        "a.pt and b.pt do not have the same tensors: 'w' is 2×3 in A and 3×3 in B; 'v' 4 is only "
        "in A; 's' a scalar is only in A; 'u' 5 is only in B. Choose checkpoints of one "
        "architecture."
    )


def test_long_lists_are_counted():
    a = checkpoint("a", **{f"w{i}": torch.ones(1) for i in range(20)})
    b = checkpoint("b", **{f"w{i}": torch.ones(2) for i in range(20)})
    with pytest.raises(MismatchError, match="'w7' is 1 in A and 2 in B; and 12 more"):
        check_fit(a, b)


def test_one_architecture_under_two_sets_of_names():
    a = checkpoint("a", x=torch.ones(2), y=torch.ones(3))
    b = checkpoint("b", p=torch.ones(2), q=torch.ones(3))
    with pytest.raises(MismatchError, match="shapes agree one by one, so these may be one arch"):
        check_fit(a, b)


def test_values_that_are_no_numbers():
    nan, inf = float("nan"), float("inf")
    check_finite(checkpoint("a", w=torch.ones(2), n=torch.tensor(3), e=torch.zeros(0)))
    bad = checkpoint("a", w=torch.tensor([nan, inf, 1.0]), h=torch.tensor(-inf).half())
    with pytest.raises(NonFiniteError) as caught:
        check_finite(bad)
    assert str(caught.value) == (
        "a holds values that are no numbers: 'w' has 1 NaN and 1 infinite of 3 values; 'h' has 0 "
        "NaN and 1 infinite of 1 values. The training that made it has diverged, or the file is "
        "damaged: take an earlier checkpoint."
    )


def test_whole_numbers_do_not_fit_floating_ones():
    a, b = checkpoint("a", w=torch.ones(2)), checkpoint("b", w=torch.ones(2, dtype=torch.int8))
    with pytest.raises(MismatchError, match="'w' holds float32 in A and int8 in B"):
        check_fit(a, b)
