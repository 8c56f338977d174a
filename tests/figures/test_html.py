"""The stand-alone page: whole, offline, and safe against names from strangers' files."""

from __future__ import annotations

import copy
import re

import pytest

from engine.figures import standalone_html
from engine.figures.style import CONFIG
from tests.figures.synthetic import synthetic_result

ARRAYS, SUMMARY = synthetic_result(resolution=7)


@pytest.fixture(scope="module")
def page():
    text = standalone_html(
        ARRAYS, SUMMARY, {"seconds": {"match": 0.9}, "device": "cpu"}, run_id="0123456789abcdef"
    )
    start = text.index("<script>")  # plotly.js itself
    return text[:start] + text[text.index("</script>", start) :]


def test_it_holds_everything(page):
    for part in ("removes the whole barrier", "π(B) is B", "Entezari", "512 × 784", "run 01234567"):
        assert part in page
    assert page.count("Plotly.newPlot") == 6
    assert page.count("Plotly.downloadImage") == 6


def test_it_loads_nothing(page):
    assert not re.search(r"<(script|link|img|iframe)[^>]+(src|href)=", page)


def test_no_button_sends_a_figure_away(page):
    assert page.count("showSendToCloud:false") == page.count("Plotly.newPlot")
    assert CONFIG["showSendToCloud"] is False


def test_names_cannot_become_markup():
    evil = "</script><script>alert(1)</script>"
    summary = copy.deepcopy(SUMMARY)
    summary["a"]["name"] = evil
    summary["model"]["title"] = evil
    summary["layers"][0]["parameter"] = evil
    text = standalone_html(ARRAYS, summary, {"device": evil})
    assert "<script>alert(1)" not in text


def test_dark():
    assert "color-scheme:dark" in standalone_html(ARRAYS, SUMMARY, theme="dark", log=False, cap=1.0)
