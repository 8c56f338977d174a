"""PNG files: drawn where there is a browser, a clear sentence where there is none."""

from __future__ import annotations

import plotly.graph_objects as go
import pytest

from engine.figures import PngError, find_browser, png_bytes
from engine.figures import png as png_module
from tests.browser.find_browser import find_browser as installed_browser


def test_no_browser_says_what_to_do(monkeypatch):
    monkeypatch.setenv("BROWSER_PATH", "/nonexistent/chrome")
    assert find_browser() is None
    with pytest.raises(PngError, match="install one or set BROWSER_PATH"):
        png_bytes(go.Figure())


def test_a_browser_on_the_path_is_found(monkeypatch, tmp_path):
    program = tmp_path / "chromium"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.delenv("BROWSER_PATH", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_browser() == str(program)


def test_a_browser_that_fails_is_named(monkeypatch, tmp_path):
    program = tmp_path / "chromium"
    program.write_text("")
    monkeypatch.setenv("BROWSER_PATH", str(program))

    def fail(figure, browser, width, height):
        raise RuntimeError("it crashed")

    monkeypatch.setattr(png_module, "_draw", fail)
    with pytest.raises(PngError, match=r"chromium could not draw the PNG: it crashed"):
        png_bytes(go.Figure())


def test_a_figure_is_drawn_on_the_themes_ground(monkeypatch, tmp_path):
    program = tmp_path / "chromium"
    program.write_text("")
    monkeypatch.setenv("BROWSER_PATH", str(program))
    seen = {}

    def draw(figure, browser, width, height):
        seen.update(ground=figure.layout.paper_bgcolor, size=(width, height))
        return b"png"

    monkeypatch.setattr(png_module, "_draw", draw)
    figure = go.Figure(layout={"height": 321, "paper_bgcolor": "rgba(0,0,0,0)"})
    assert png_bytes(figure, theme="dark", width=500) == b"png"
    assert seen == {"ground": "#12151f", "size": (500, 321)}
    assert figure.layout.paper_bgcolor == "rgba(0,0,0,0)"


@pytest.mark.browser
def test_a_real_browser_draws_a_png(monkeypatch):
    path = installed_browser()
    assert path, "no Chromium: run tests/browser/install_browser.sh"
    monkeypatch.setenv("BROWSER_PATH", path)
    figure = go.Figure(go.Scatter(x=[0, 1], y=[0, 1]), layout={"height": 200})
    assert png_bytes(figure, width=300).startswith(b"\x89PNG")
