"""Planes of other kinds: words, tables, markers, trajectories, and the figure beside them."""

from __future__ import annotations

import base64

import numpy as np
import pytest

from engine.figures import plane_figure, plane_preview, surface_figure
from engine.figures.palette import MARKERS
from engine.figures.planes import (
    KINDS,
    check_rows,
    cuts,
    model_rows,
    note,
    planes_headline,
)
from engine.figures.planes_cuts import beside_figure
from engine.figures.planes_html import planes_html

PLACES = {
    "three": {"A": [0, 0], "B": [1, 0], "C": [0.4, 0.8]},
    "random": {"model": [0, 0]},
    "pca": {"start": [-0.9, 0.3], "end": [0, 0]},
    "hessian": {"model": [0, 0]},
}
OWN = {
    "three": {"distances": {"A|B": 3.0}, "angle_degrees": 61.2},
    "random": {"angle_degrees": 89.3, "scaling": "filter", "still_parameters": 1546},
    "pca": {"explained": [0.8, 0.15], "trajectory": [[-0.9, 0.3], [-0.2, 0.4], [0, 0]]},
    "hessian": {
        "eigenvalues": [40.0, 12.5],
        "residuals": [1e-4, 2e-4],
        "products": 64,
        "samples": 1000,
    },
}


def made(kind: str, split: str = "test"):
    """Return a made-up result: a bowl around the origin."""
    axis = np.linspace(-1, 1, 9)
    loss = 0.1 + axis[:, None] ** 2 + 2 * axis[None] ** 2
    arrays = {"plane_u": axis, "plane_v": axis, f"plane_{split}_loss": loss}
    arrays |= {f"plane_{split}_accuracy": np.exp(-loss), f"plane_{split}_loss_se": 0 * loss}
    point = {"loss": 0.1, "loss_se": 0.01, "accuracy": 0.97, "accuracy_se": 0.01}
    keys = ["start", "2", "end"] if kind == "pca" else list(PLACES[kind])
    rows = [
        {
            "key": key,
            "title": f"net{n}.pt",
            "place": PLACES[kind].get(key, [-0.2, 0.4]),
            "off_plane": 0.5 * (key == "2"),
            "test": point,
            "train": point,
        }
        for n, key in enumerate(keys)
    ]
    if kind == "pca":
        values = np.array([1.0, 0.4, 0.1])
        arrays |= {f"models_{s}_loss": values for s in ("test", "train")}
        arrays[f"projected_{split}_loss"] = values + 0.1
    plane = {
        "kind": kind,
        "split": split,
        "axes": ["first", "second"],
        "unit": 3.25,
        "unit_words": "the unit",
        "positions": PLACES[kind],
        "orthonormality": 2e-17,
        "measured": {"lengths": [1, 1 + 1e-7], "cosine": 3e-8, "corner_error": 0.0},
        "corner_difference": 0.0,
        **OWN[kind],
    }
    summary = {
        "kind": kind,
        "models": [{"name": row["title"], "sha256": "a" * 64} for row in rows],
        "plane": plane,
        "rows": rows,
        "ends": {row["key"].lower(): {"test": point, "train": point} for row in rows},
    }
    return arrays, summary


def names(figure) -> list:
    return [trace.name for trace in figure.data]


@pytest.mark.parametrize("kind", KINDS)
def test_every_named_model_is_marked_and_no_edge_of_a_comparison_is_drawn(kind):
    arrays, summary = made(kind)
    for figure in (plane_figure(arrays, summary), surface_figure(arrays, summary, theme="dark")):
        found = names(figure)
        for name in PLACES[kind]:
            assert MARKERS[name].label in found
        assert not any("→" in str(name) for name in found)
        assert ("trajectory" in found) is (kind == "pca")
    preview = plane_preview(arrays, summary)
    assert preview is not None
    svg = base64.b64decode(preview.split(",")[1]).decode()
    assert "<line" not in svg
    assert ("<polyline" in svg) is (kind == "pca")


def test_axes_say_what_they_are():
    layout = plane_figure(*made("random")).layout
    assert layout.xaxis.title.text == "first, unit = 3.25"
    assert layout.yaxis.title.text == "second"
    assert layout.xaxis.dtick is None
    assert plane_figure(*made("hessian")).layout.xaxis.title.text == "first, distance"
    assert surface_figure(*made("three")).layout.scene.xaxis.title.text == "first"


@pytest.mark.parametrize(
    ("kind", "headline"),
    [
        ("three", "The plane through net0.pt, net1.pt and net2.pt"),
        ("random", "Random directions around net0.pt: test loss .100 at the network"),
        ("pca", "95.0\u202f% of the variance of 3 checkpoints lies along this plane"),
        ("hessian", "The most curved directions at net0.pt: eigenvalues 40 and 12.5"),
    ],
)
def test_the_headline_says_what_is_seen(kind, headline):
    _, summary = made(kind)
    assert planes_headline(summary) == headline
    early = {"kind": kind, "models": summary["models"]}
    assert planes_headline(early)
    assert planes_headline({}) == "A plane is being computed."


def test_the_table_has_places_and_distances():
    rows = model_rows(made("pca")[1])
    assert [row["network"] for row in rows] == ["start: net0.pt", "2: net1.pt", "end: net2.pt"]
    assert [row["off the plane"] for row in rows] == ["on it", "0.5", "on it"]
    assert rows[2]["place (u, v)"] == "(0, 0)"
    assert rows[0]["test loss"] == ".100 ± .010"
    assert model_rows(made("random")[1])[0]["network"] == "net0.pt"


@pytest.mark.parametrize(
    ("kind", "check", "text"),
    [
        ("three", "distance A to B", "3"),
        ("three", "angle at A", "61.20°"),
        ("three", "|cosine| of the axes", "2·10⁻¹⁷"),
        ("random", "angle of the axes", "89.30°, not made orthogonal"),
        ("random", "scaled to the network's norm", "each filter; 1\u202f546 parameters stay"),
        ("pca", "variance along the axes", "80.0\u202f% + 15.0\u202f%"),
        ("hessian", "second eigenvalue", "12.5, residual 2·10⁻⁴"),
        ("hessian", "Hessian products", "64"),
        ("hessian", "weights at corners minus models", "0"),
    ],
)
def test_checks_are_told_in_words(kind, check, text):
    rows = {row["check"]: row["measured"] for row in check_rows(made(kind)[1])}
    assert rows[check] == text


def test_the_note_says_what_must_be_known():
    _, summary = made("hessian")
    assert "mean loss on 1\u202f000 training samples" in note(summary)
    _, summary = made("random")
    told = "1\u202f546 biases and norm parameters stay. The two directions are at 89.30°."
    assert note(summary) == told
    summary["plane"]["still_parameters"] = 0
    assert note(summary).startswith("All parameters move.")
    _, summary = made("pca")
    summary["batch_norm"] = {"reset": True, "reset_samples": 500}
    summary["equivalence"] = {"max_abs_logit_difference": 2e-6}
    summary["plane"]["degenerate"] = "All on one line."
    text = note(summary)
    assert text.startswith("All on one line. Dots are projections")
    assert "recomputed at every point from 500 training samples" in text
    assert "logits on the test samples differ by at most 2·10⁻⁶" in text


def test_cuts_go_through_the_origin_and_parabolas_are_the_eigenvalues():
    arrays, summary = made("hessian", split="train")
    found = cuts(arrays, summary)
    np.testing.assert_allclose(found["u"][1], 0.1 + 2 * arrays["plane_u"] ** 2)
    np.testing.assert_allclose(found["v"][1], 0.1 + arrays["plane_v"] ** 2)
    figure = beside_figure(arrays, summary)
    assert names(figure) == ["along u", "½ λ₁ u²", "along v", "½ λ₂ v²"]
    np.testing.assert_allclose(figure.data[1].y, 0.1 + 20 * arrays["plane_u"] ** 2)
    off = {**arrays, "plane_v": arrays["plane_v"] + 0.1}
    assert names(beside_figure(off, made("random", "train")[1]))[0] == "along u at v = 0.1"


def test_a_trajectory_has_its_own_losses_and_those_of_the_plane():
    figure = beside_figure(*made("pca"), theme="dark")
    assert names(figure) == ["test, own", "train, own", "test, on the plane"]
    assert list(figure.data[2].x) == [1, 2, 3]


@pytest.mark.parametrize("kind", KINDS)
def test_one_page_has_everything_and_escapes_names(kind):
    arrays, summary = made(kind)
    summary["models"][0]["name"] = summary["rows"][0]["title"] = "<b>net</b>"
    page = planes_html(arrays, summary, {"seconds": {"evaluate": 3.0}}, run_id="0f" * 8)
    assert "<b>net</b>" not in page
    assert "computed in 3 s" in page
    assert page.count('<section class="figure">') == 3
