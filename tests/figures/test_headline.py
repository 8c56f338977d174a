"""The headline in every case, and the proof line."""

from __future__ import annotations

import copy
import math

import pytest

from engine.figures import headline, proof_lead, proof_sentence, removed_share
from engine.figures.headline import whole_percent
from tests.figures.synthetic import synthetic_result

_, SUMMARY = synthetic_result(resolution=5)


def case(before, after, *, error=0.01, worst=0.5, **changes):
    """A summary with the given test barriers."""
    summary = copy.deepcopy(SUMMARY)
    for name, value in (("naive", before), ("rebasin", after)):
        summary["barriers"][name]["test"] |= {
            "git_rebasin": value,
            "git_rebasin_se": error,
            "worst": worst,
        }
    return summary | changes


@pytest.mark.parametrize(
    ("before", "after", "text", "tone"),
    [
        (0.84, 0.001, "Permuting B removes the whole barrier: .84 → .00", "good"),
        (1.44, 0.55, "Permuting B removes 62\u202f% of the barrier: 1.44 → .55", "part"),
        (8.4, 0.05, "Permuting B removes 99\u202f% of the barrier: 8.40 → .05", "part"),
        (
            0.002,
            0.001,
            "There is no barrier between A and B to begin with: .00 → .00",
            "none",
        ),
        (0.50, 0.90, "Permuting B makes the barrier higher: .50 → .90", "bad"),
        (
            0.001,
            0.30,
            "No barrier between A and B, but one between A and π(B): .00 → .30",
            "bad",
        ),
        (0.50, 0.49, "Permuting B does not change the barrier measurably: .50 → .49", "none"),
        (None, 0.1, "The loss diverges between A and B: the barrier is not a number", "unknown"),
        (
            math.nan,
            0.1,
            "The loss diverges between A and B: the barrier is not a number",
            "unknown",
        ),
        (
            0.5,
            None,
            "The loss diverges between A and π(B); from A to B the barrier is .50",
            "unknown",
        ),
    ],
)
def test_headline(before, after, text, tone):
    told = headline(case(before, after))
    assert (told.text, told.tone) == (text, tone)


def test_an_end_higher_than_the_other_is_no_barrier():
    told = headline(case(0.84, 0.05, error=0.001, worst=1.0))
    assert told.tone == "none"
    summary = case(0.84, 0.05, error=0.001)
    summary["barriers"]["rebasin"]["test"]["worst"] = 1.0
    assert headline(summary).text == "Permuting B removes the whole barrier: .84 → .05"


def test_equal_networks():
    summary = case(0.0, 0.0, distance={"a_b": 0.0})
    assert headline(summary).text == "A and B are the same network"


def test_no_symmetry():
    summary = case(0.5, 0.5, symmetry={"groups": []})
    assert headline(summary).text == "These networks have no permutation symmetry: barrier .50"


def test_the_identity_permutation():
    still = SUMMARY["matching"] | {"moved_units": 0}
    assert headline(case(0.5, 0.5, matching=still)).text == (
        "Weight matching keeps B as it is: barrier .50"
    )
    assert headline(case(0.0, 0.0, matching=still)).text.endswith("none to remove")


def test_the_detail_has_standard_errors_and_samples():
    detail = headline(case(0.842, 0.001, error=0.009)).detail
    assert "A to B .842 ± .009" in detail
    assert "2\u202f000 test samples" in detail
    assert "±" not in headline({"barriers": {}, "distance": {"a_b": 0}}).detail.split("(")[0]


def test_removed_share():
    assert removed_share(case(0.8, 0.2)) == pytest.approx(0.75)
    assert removed_share(case(0.001, 0.2)) is None
    assert removed_share(case(0.8, None)) is None


def test_what_is_not_all_gone_is_never_a_hundred_per_cent():
    assert whole_percent(0.9999) == 99
    assert whole_percent(0.001) == 1


def test_proof_line():
    assert proof_lead(SUMMARY) == "✓ π(B) is B:"
    assert proof_sentence(SUMMARY) == (
        "the largest difference in any logit on 2\u202f000 samples is 8·10⁻⁶."
    )
    same = {"equivalence": {"max_abs_logit_difference": 0.0, "samples": 5}}
    assert "bit for bit" in proof_sentence(same)


def test_an_unmeasured_proof_is_not_claimed():
    broken = {"proof": {"passed": True}, "equivalence": {"max_abs_logit_difference": None}}
    assert proof_lead(broken).startswith("?")
    assert "not finite" in proof_sentence(broken)
    assert proof_lead({}).startswith("?")
