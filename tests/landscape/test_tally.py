from __future__ import annotations

import pytest
import torch

from engine.errors import LandscapeError
from engine.landscape import Tally
from engine.landscape.tally import TokenSums


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


def token_tally(losses, hits, numbers):
    """The tally of sequences: sums of losses and hits per sequence [G, N], tokens [N]."""
    tokens = TokenSums(
        int(numbers.sum()),
        int((numbers**2).sum()),
        hits.square().sum(1),
        (losses * numbers).sum(1),
        (hits * numbers).sum(1),
    )
    return Tally(losses.sum(1), losses.square().sum(1), hits.sum(1), losses.shape[1], tokens)


def test_sequences_of_one_token_are_samples(samples):
    losses, hits = samples
    one, other = tally_of(losses, hits), token_tally(losses, hits, torch.ones(100))
    for name in ("loss", "loss_se", "accuracy", "accuracy_se"):
        torch.testing.assert_close(getattr(one, name), getattr(other, name), rtol=1e-9, atol=0)


def test_sequences_of_equal_length_have_the_error_of_their_means(samples):
    losses, hits = samples
    tally = token_tally(losses * 4, hits * 4, torch.full((100,), 4.0))
    torch.testing.assert_close(tally.loss, losses.mean(1))
    torch.testing.assert_close(tally.loss_se, losses.std(1) / 10)


def test_tokens_of_one_sequence_are_not_counted_as_independent():
    """Where all tokens of a sequence fail together, more tokens per sequence tell nothing new."""
    generator = torch.Generator().manual_seed(0)
    losses = torch.rand(1, 50, generator=generator, dtype=torch.float64)
    short = token_tally(losses, losses, torch.ones(50))
    long = token_tally(losses * 100, losses * 100, torch.full((50,), 100.0))
    torch.testing.assert_close(short.loss_se, long.loss_se, rtol=1e-9, atol=0)


def test_tallies_of_sequences_add_up_and_join(samples):
    losses, hits = samples
    numbers = torch.arange(100.0) % 7
    whole = token_tally(losses, hits, numbers)
    halves = [
        token_tally(losses[:, part], hits[:, part], numbers[part])
        for part in (slice(30), slice(30, 100))
    ]
    joined = Tally.concat(
        [token_tally(losses[g : g + 1], hits[g : g + 1], numbers) for g in range(4)]
    )
    for tally in (halves[0] + halves[1], joined):
        assert tally.tokens.number == whole.tokens.number
        torch.testing.assert_close(tally.loss_se, whole.loss_se)
        torch.testing.assert_close(tally.accuracy_se, whole.accuracy_se)
    with pytest.raises(LandscapeError, match="classes and of tokens cannot be added"):
        whole + tally_of(losses, hits)
    with pytest.raises(LandscapeError, match="only over the same samples"):
        Tally.concat([whole, tally_of(losses, hits)])
    with pytest.raises(LandscapeError, match="only over the same samples"):
        Tally.concat([whole, token_tally(losses, hits, numbers + 1)])
