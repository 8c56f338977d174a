"""What is said under a plane."""

from __future__ import annotations

from engine.figures.plane_words import geometry_note, plane_notes
from tests.figures.synthetic import synthetic_result

_, SUMMARY = synthetic_result(resolution=7)
PLANE = {
    "orthonormality": 1e-17,
    "corner_difference": 0.0,
    "distances": {"A|B": 76.44, "A|pi_b": 66.6, "B|pi_b": 76.55},
    "angle_degrees": 64.28,
}


def test_checks_are_told_with_lengths_and_angle_in_true_units():
    note = geometry_note(PLANE)
    assert "basis orthonormal to 1·10⁻¹⁷, corners equal their models exactly" in note
    assert "‖B − A‖ = 76.4, ‖π(B) − A‖ = 66.6, ‖π(B) − B‖ = 76.5, angle at A 64.3°." in note


def test_what_is_measured_on_formed_points_counts():
    measured = {"lengths": [1.0, 1 + 3e-7], "cosine": 1e-8, "corner_error": 0.0}
    assert "orthonormal to 3·10⁻⁷" in geometry_note({**PLANE, "measured": measured})
    assert "models to 2·10⁻³" in geometry_note({**PLANE, "corner_difference": 2e-3})


def test_a_preview_says_why_it_stopped_and_that_its_basins_are_estimates():
    estimate = {"stop_sentence": "Stopped at the accuracy that was asked for. 80 points."}
    summary = {
        "plane": {**PLANE, "estimate": estimate},
        "basins": {"note": "Basins are read off an estimated plane.", "threshold_rule": "x"},
        "precision": {"sentence": "Off by .1 %.", "warning": "Slower than exact here."},
    }
    text = " ".join(plane_notes(summary))
    for part in (estimate["stop_sentence"], "estimated plane", "Off by .1 %.", "Slower than"):
        assert part in text


def test_an_exact_plane_and_a_missing_one_say_no_more_than_there_is():
    assert plane_notes({"plane": {"degenerate": "A and B are equal."}}) == ["A and B are equal."]
    assert geometry_note({}) == ""
    assert len(plane_notes(SUMMARY)) == 3
