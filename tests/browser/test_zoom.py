"""What the user did to a plane outlives every new version of it: zoom and camera stay."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_app import open_app, settled

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

FLAT = ".js-plotly-plot:has(.contourlayer)"
SURFACE = ".js-plotly-plot:has(.gl-container)"


def drag(page: Page, target: str, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Drag over a plot, from and to shares of its width and height."""
    place = page.locator(target).first
    expect(place).to_be_visible()
    box = place.bounding_box()
    assert box is not None

    def move(share: tuple[float, float], steps: int = 1) -> None:
        x, y = box["x"] + share[0] * box["width"], box["y"] + share[1] * box["height"]
        page.mouse.move(x, y, steps=steps)

    move(start)
    page.mouse.down()
    move(end, steps=5)
    page.mouse.up()


def zoom_in(page: Page) -> tuple[float, ...]:
    """Zoom into the flat plane; return what is seen of it now."""
    place = page.locator(f"{FLAT} .nsewdrag").first
    expect(place).to_be_visible()
    place.scroll_into_view_if_needed()
    before = seen(page)
    drag(page, f"{FLAT} .nsewdrag", (0.3, 0.3), (0.7, 0.7))
    page.wait_for_function(
        "([plot, whole]) => document.querySelector(plot).layout.xaxis.range[0] !== whole[0]",
        arg=[FLAT, before],
    )
    return seen(page)


def seen(page: Page) -> tuple[float, ...]:
    """The ends of both axes of the flat plane."""
    page.wait_for_selector(f"{FLAT} .nsewdrag", state="attached")
    shown = "plot => { const { xaxis, yaxis } = document.querySelector(plot).layout;"
    return tuple(page.evaluate(f"{shown} return [...xaxis.range, ...yaxis.range]; }}", FLAT))


def test_zoom_and_camera_outlive_scale_and_tab(app, page):
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    open_app(page, app)
    zoomed = pytest.approx(zoom_in(page))
    page.get_by_test_id("stTabs").get_by_text("linear", exact=True).click()
    expect(page.locator(f"{FLAT} .infolayer")).to_contain_text("1.5")
    assert seen(page) == zoomed
    page.get_by_role("tab", name="Layers").click()
    expect(page.locator(FLAT)).to_have_count(0)
    page.get_by_role("tab", name="Plane").click()
    expect(page.locator(FLAT)).to_have_count(1)
    assert seen(page) == zoomed
    page.get_by_test_id("stTabs").get_by_text("3D", exact=True).click()
    drag(page, f"{SURFACE} .gl-container canvas", (0.5, 0.5), (0.7, 0.55))
    camera = "plot => document.querySelector(plot).layout.scene.camera.eye"
    turned = page.evaluate(camera, SURFACE)
    assert turned["x"] != pytest.approx(-0.62)
    page.get_by_test_id("stTabs").get_by_text("log", exact=True).click()
    settled(page)
    page.wait_for_function(
        "plot => document.querySelector(plot).layout.scene.zaxis.ticktext.includes('0.1')",
        arg=SURFACE,
    )
    assert page.evaluate(camera, SURFACE) == pytest.approx(turned)
    assert not errors
