from __future__ import annotations

import pytest
import torch

from engine.errors import LandscapeError
from engine.landscape import Tally


def tally_of(losses, hits):
    return Tally(losses.sum(1), losses.square().sum(1), hits.sum(1), losses.shape[1])


@pytest.fixture
def samples():
    generator = torch.Generator().manual_seed(0)
    losses = torch.rand(4, 100, generator=generator, dtype=torch.float64) * 3
    hits = (torch.rand(4, 100, generator=generator) < 0.8).double()
    return losses, hits


def test_means_and_standard_errors_are_those_of_the_samples(samples):
    losses, hits = samples
    tally = tally_of(losses, hits)
    torch.testing.assert_close(tally.loss, losses.mean(1))
    torch.testing.assert_close(tally.loss_se, losses.std(1) / 10)
    torch.testing.assert_close(tally.accuracy, hits.mean(1))
    torch.testing.assert_close(tally.accuracy_se, hits.std(1) / 10)


def test_shards_of_the_data_add_up(samples):
    losses, hits = samples
    whole = tally_of(losses, hits)
    parts = tally_of(losses[:, :30], hits[:, :30]) + tally_of(losses[:, 30:], hits[:, 30:])
    assert parts.count == whole.count
    torch.testing.assert_close(parts.loss_se, whole.loss_se)
    torch.testing.assert_close(parts.accuracy, whole.accuracy)


def test_points_are_joined_in_order(samples):
    losses, hits = samples
    whole = tally_of(losses, hits)
    joined = Tally.concat([tally_of(losses[:1], hits[:1]), tally_of(losses[1:], hits[1:])])
    assert torch.equal(joined.loss_sum, whole.loss_sum)
    assert torch.equal(joined.loss_square_sum, whole.loss_square_sum)
    assert torch.equal(joined.correct, whole.correct)
    assert joined.count == whole.count


def test_nan_and_infinity_stay():
    losses = torch.tensor([[1.0, torch.nan], [1.0, torch.inf]], dtype=torch.float64)
    tally = tally_of(losses, torch.ones(2, 2, dtype=torch.float64))
    assert tally.loss[0].isnan()
    assert tally.loss[1] == torch.inf
    assert tally.loss_se.isnan().all()


def test_equal_samples_have_no_error_and_one_sample_has_none_known():
    tally = tally_of(torch.full((1, 7), 0.1, dtype=torch.float64), torch.ones(1, 7).double())
    assert 0 <= float(tally.loss_se) < 1e-9
    single = tally_of(torch.ones(1, 1).double(), torch.ones(1, 1).double())
    assert single.loss_se.isnan().all()
    assert single.accuracy_se.isnan().all()


def test_tallies_that_do_not_belong_together_are_refused(samples):
    losses, hits = samples
    whole = tally_of(losses, hits)
    with pytest.raises(LandscapeError, match="4 and 2 points cannot be added"):
        whole + tally_of(losses[:2], hits[:2])
    with pytest.raises(LandscapeError, match=r"counts \[50, 100\]"):
        Tally.concat([whole, tally_of(losses[:, :50], hits[:, :50])])
