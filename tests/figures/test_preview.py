"""The quick picture: the bands of the plane, the three models, nothing where there is no plane."""

from __future__ import annotations

import base64
import io
import re
import xml.etree.ElementTree as ET

import numpy as np
import plotly.colors
import pytest
from PIL import Image

from engine.figures import plane_preview
from engine.figures.palette import palette
from engine.figures.preview import PIXELS
from tests.figures.synthetic import synthetic_result

ARRAYS, SUMMARY = synthetic_result(resolution=9)
SVG = "{http://www.w3.org/2000/svg}"


def drawn(address):
    """The SVG and the picture inside it, RGB [height, width, 3]."""
    kind, content = address.split(";base64,")
    assert kind == "data:image/svg+xml"
    svg = ET.fromstring(base64.b64decode(content))
    picture = svg.find(f"{SVG}image").get("href").split("base64,")[1]
    image = Image.open(io.BytesIO(base64.b64decode(picture)))
    return svg, np.asarray(image.convert("RGB"))


def ramp(across):
    """A plane whose loss rises tenfold per unit from left to right, or from below to the top."""
    u, v = np.linspace(-1, 1, 5), np.linspace(0, 1, 3)
    height = np.broadcast_to(u, (3, 5)) if across else np.broadcast_to(v[:, None] * 2 - 1, (3, 5))
    return {"plane_u": u, "plane_v": v, "plane_test_loss": 10.0**height}


@pytest.mark.parametrize("across", [True, False])
def test_low_losses_are_dark_and_high_ones_bright_where_they_belong(across):
    _, picture = drawn(plane_preview(ramp(across), {}, cap=10.0))
    assert picture.shape == (PIXELS // 2, PIXELS, 3)
    first, last = (picture[60, 0], picture[60, -1]) if across else (picture[-1, 9], picture[0, 9])
    ends = plotly.colors.sample_colorscale("Viridis", [1 / 36, 35 / 36], colortype="tuple")
    np.testing.assert_allclose(first, np.multiply(ends[0], 255), atol=1)
    np.testing.assert_allclose(last, np.multiply(ends[1], 255), atol=1)


def test_the_models_stand_where_the_plane_has_them():
    svg, _ = drawn(plane_preview(ARRAYS, SUMMARY, theme="light"))
    u, v = ARRAYS["plane_u"], ARRAYS["plane_v"]
    circle, square = svg.find(f"{SVG}circle"), svg.find(f"{SVG}rect")
    unit = 600 / (u[-1] - u[0])
    assert float(circle.get("cx")) == pytest.approx((0 - u[0]) * unit, abs=0.1)
    assert float(circle.get("cy")) == pytest.approx((v[-1] - 0) * unit, abs=0.1)
    middle = float(square.get("x")) + float(square.get("width")) / 2
    assert middle == pytest.approx((1 - u[0]) * unit, abs=0.1)
    assert [text.text for text in svg.findall(f"{SVG}text")] == ["A", "B", "π(B)"]
    assert len(svg.findall(f"{SVG}line")) == 6  # three edges, each over its casing


def test_diverged_points_have_their_own_colour():
    values = ramp(True)
    values["plane_test_loss"] = np.where(values["plane_u"] > 0.4, np.nan, values["plane_test_loss"])
    values["plane_test_loss"][0, -1] = np.inf
    svg, picture = drawn(plane_preview(values, {}, theme="dark"))
    assert svg.find(f"{SVG}path").get("d").count("M") == 6  # a cross at each of them
    expected = plotly.colors.hex_to_rgb(palette("dark").diverged)
    assert tuple(picture[0, -1]) == expected
    assert tuple(picture[0, 0]) != expected


def test_it_is_small_and_refers_to_nothing_outside():
    address = plane_preview(ARRAYS, SUMMARY)
    assert len(address) < 40_000
    text = base64.b64decode(address.split("base64,", 1)[1]).decode()
    assert not re.findall(r'href="(?!data:)', text)


def test_without_a_plane_there_is_none():
    assert plane_preview({}, {"plane": None}) is None
