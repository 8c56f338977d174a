"""What Inspect says: of a whole answer, of a part of one, of a network without any group."""

from __future__ import annotations

import pytest

from engine.figures.inspect_words import (
    fixed_html,
    graph_sentences,
    inspect_headline,
    inspect_metrics,
    proof_words,
    recovery_html,
    subject_line,
)
from engine.figures.numbers import size_in_bytes
from tests.pages.inspected import group, self_test_summary, summary

THIN = "\u202f"


def test_a_graph_is_told_in_two_sentences():
    facts = {
        "operations": {**{f"op{i}": 1 for i in range(10)}, "linear": 1200, "tanh": 1},
        "inputs": [
            {"name": "x", "shape": [3], "dtype": "float32"},
            {"name": "ids", "shape": [5, 2], "dtype": "int64"},
        ],
        "output": {"shape": [4, None], "dtype": "float32"},
    }
    takes, does = graph_sentences(facts)
    assert takes == (
        "It takes x [batch, 3] (float32) and ids [batch, 5, 2] (int64), returns "
        "[batch, 4, ?] (float32)."
    )
    assert does.startswith(f"1{THIN}211 operations: linear 1{THIN}200, op0 1, ")
    assert does.endswith("op8 1 and 2 kinds more.")


def without_groups() -> dict:
    found = summary()
    symmetry = {**found["symmetry"], "groups": [], "log10_copies": 0.0, "moved_parameters": 0}
    return {**found, "symmetry": symmetry, "proof": {**found["proof"], "trials": 0}}


def test_the_headline_says_how_many():
    assert inspect_headline(summary()) == "24 networks compute the same function"
    large = summary(symmetry={"groups": [group(1, "a", 9, "w")], "log10_copies": 5934.6})
    assert inspect_headline(large) == "10⁵⁹³⁴ networks compute the same function"
    assert inspect_headline(without_groups()).startswith("No permutation of units")
    assert inspect_headline({"tensors": []}) == "Reading the network…"
    unknown = summary(symmetry=None, problem="x")
    assert inspect_headline(unknown) == "The architecture is not known"


def test_the_proof_in_words():
    lead, sentence = proof_words(summary(), 0.25)
    assert lead == "Proved:"
    assert "2 random permutations of all groups" in sentence
    assert "no output of this very network by more than 3·10⁻¹⁶ (float64, 0.2 s)" in sentence
    assert proof_words(summary(proof=None))[0] == "Not proved yet:"
    assert proof_words(without_groups())[0] == "Nothing to prove:"
    assert proof_words(summary(proof=None, symmetry=None)) == ("", "")
    failed = proof_words(summary(proof={"passed": False, "reason": "It is dead."}))
    assert failed == ("Not proved:", "It is dead.")


def test_the_numbers_count_every_copy_of_a_nested_group():
    found = summary()
    nested = group(2, "b", 5, "w", copies=3, within=1)
    found["symmetry"]["groups"] = [group(1, "a", 3, "w"), nested]
    found["symmetry"]["ops_without_rule"] = ["aten.odd.default"]
    rows = {label: (value, note) for label, value, note in inspect_metrics(found)}
    assert rows["Permutation groups"] == ("2", "1 nested")
    assert rows["Units that permute"] == ("18", "")
    assert rows["Parameters that move"] == (f"100.0{THIN}%", "of 24")
    assert rows["Ops without a rule"] == ("1", "aten.odd.default")
    assert inspect_metrics({}) == []


def test_the_subject_in_one_line():
    assert subject_line(summary()) == f"mine · MLP 3-4-2 · 24 parameters · 3 tensors · 96{THIN}B"
    assert subject_line({"tensors": []}) == f"0 tensors · 0{THIN}B"


def test_reasons_come_before_their_places():
    page = fixed_html({"fixed": ["a axis 0 (3); <b> axis 1 (2): it meets: an input"]})
    assert "<b>an input</b>" in page
    assert "<span>2 tensors</span>" in page
    assert "&lt;b&gt; axis 1 (2): it meets" in page


def test_the_outcome_group_by_group():
    page = recovery_html(self_test_summary()["groups"])
    assert "<td>4</td><td>4</td><td>0</td><td>0</td>" in page
    wrong = [{"number": 1, "name": "<i>", "units": 4, "exact": 2, "tied": 0, "wrong": 2}]
    page = recovery_html(wrong)
    assert '<b class="bs-bad">✕ 2</b>' in page
    assert "<i>" not in page


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (3_729_448, "3.7 MB"),
        (999_600, "1.0 MB"),
        (250_000_000, "250 MB"),
        (8 << 30, "8.6 GB"),
    ],
)
def test_sizes(value, text):
    assert size_in_bytes(value) == text.replace(" ", THIN)
