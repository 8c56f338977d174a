"""The app in a real browser: what a newcomer does, from opening it to a permanent link."""

from __future__ import annotations

import os
import re
import signal
import time
from contextlib import suppress

import pytest
import torch
from playwright.sync_api import Page, TimeoutError, expect
from safetensors.torch import load_file, save_file

from tests.browser.conftest import ROOT, App

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

DEMO = sorted((ROOT / "assets" / "demo").glob("*.safetensors"))
HEADLINE = ".bs-headline"
PLANE = ".js-plotly-plot"
MOST_MILLISECONDS = 300_000
RUN_ADDRESS = re.compile(r"run=([0-9a-f]{16})")


def settled(page: Page) -> None:
    """Wait until Streamlit has run the script to its end."""
    page.wait_for_selector("[data-testid='stApp'][data-test-script-state='notRunning']")


def open_app(page: Page, app: App, path: str = "/") -> None:
    page.goto(app.url + path)
    settled(page)


def choose_source(page: Page, name: str) -> None:
    page.locator("[data-testid='stSidebar']").get_by_label("Networks").click()
    page.get_by_role("option", name=name).click()
    settled(page)


def upload(page: Page, *files) -> None:
    choose_source(page, "Weights alone")
    for side, file in enumerate(files):
        for _ in range(3):
            choose_file(page, side, file)
            # A field that is redrawn while the other file is read may lose what it named.
            with suppress(AssertionError):
                left = len(files) - 1 - side
                expect(page.get_by_text("not chosen yet")).to_have_count(left, timeout=20_000)
                break


def choose_file(page: Page, side: int, file) -> None:
    """Choose a file until it is named (a choice may meet a field that is just redrawn)."""
    named = page.get_by_test_id("stSidebar").get_by_text(file.name).first
    for _ in range(3):
        page.locator("input[type=file]").nth(side).set_input_files(file)
        with suppress(AssertionError):
            expect(named).to_be_visible(timeout=20_000)
            break
    settled(page)


def set_number(page: Page, label: str, value: int) -> None:
    """Type into a number field of the sidebar."""
    field = page.get_by_label(label, exact=True)
    field.fill(str(value))
    field.press("Enter")
    settled(page)


def final_headline(page: Page, name: str) -> str:
    """Wait until a run's title has given way to its result; return the result's sentence."""
    headline = page.locator(HEADLINE).first
    expect(headline).to_contain_text(name, timeout=MOST_MILLISECONDS)
    expect(headline).not_to_contain_text(name, timeout=MOST_MILLISECONDS)
    expect(headline).to_contain_text("barrier")
    return headline.inner_text()


def press_run(page: Page) -> str:
    """Press Run until the address names a run (a press may meet a page that just moves)."""
    button = page.get_by_role("button", name="Run", exact=True)
    for _ in range(3):
        button.click()
        with suppress(TimeoutError):
            page.wait_for_url(RUN_ADDRESS, timeout=30_000)
            break
    found = RUN_ADDRESS.search(page.url)
    assert found, page.url
    return found[1]


def cancel(page: Page) -> None:
    """Press Cancel until the run has ended: a press while the page redraws may be lost."""
    button = page.get_by_role("button", name="Cancel")
    ended = page.get_by_text("Finished tiles are kept").first
    expect(button).to_be_visible(timeout=MOST_MILLISECONDS)
    for _ in range(5):
        button.click()
        with suppress(AssertionError):
            expect(ended).to_be_visible(timeout=20_000)
            break
    expect(button).to_be_hidden()
    expect(page.get_by_role("button", name="Run again")).to_be_visible()


def no_sideways_scroll(page: Page) -> bool:
    return page.evaluate(
        "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    )


@pytest.fixture(scope="module")
def small_pair(tmp_path_factory):
    """Two small networks that fit the built-in data, so that a run takes seconds."""
    folder = tmp_path_factory.mktemp("pair")
    paths = []
    for seed, name in enumerate(("first", "second")):
        generator = torch.Generator().manual_seed(seed)
        shapes = {"0.weight": (24, 784), "0.bias": (24,), "2.weight": (10, 24), "2.bias": (10,)}
        tensors = {k: torch.randn(*s, generator=generator) * 0.1 for k, s in shapes.items()}
        paths.append(folder / f"{name}.safetensors")
        save_file(tensors, paths[-1])
    return paths


def test_the_demo_opens_with_its_stored_result(app, page):
    open_app(page, app)
    expect(page.locator(HEADLINE).first).to_contain_text("Permuting B removes the whole barrier")
    expect(page.locator(PLANE).first).to_be_visible()
    expect(page.get_by_text("✓ π(B) is B:")).to_be_visible()
    # The second opening is what a user sees: no process is starting any more.
    start = time.monotonic()
    page.reload()
    expect(page.locator(PLANE).first).to_be_visible()
    print(f"drawn {time.monotonic() - start:.2f} s after a reload")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone(app, browser, scheme):
    context = browser.new_context(viewport={"width": 390, "height": 844}, color_scheme=scheme)
    page = context.new_page()
    open_app(page, app)
    expect(page.locator(HEADLINE).first).to_be_visible()
    expect(page.locator(PLANE).first).to_be_visible()
    assert no_sideways_scroll(page)
    context.close()


def test_three_dimensions_and_linear_scale(app, page):
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    open_app(page, app)
    page.get_by_test_id("stTabs").get_by_text("3D", exact=True).click()
    settled(page)
    expect(page.locator(f"{PLANE} .gl-container canvas").first).to_be_visible()
    page.get_by_test_id("stTabs").get_by_text("linear", exact=True).click()
    settled(page)
    assert "view=3D" in page.url
    assert not errors


def test_two_uploads_are_compared_to_the_end_and_the_link_lasts(app, page, small_pair):
    open_app(page, app)
    upload(page, *small_pair)
    expect(page.get_by_text("the pair fits")).to_be_visible(timeout=MOST_MILLISECONDS)
    expect(page.get_by_text("MLP 784-24-10").first).to_be_visible()
    run_id = press_run(page)
    headline = final_headline(page, "first.safetensors")
    expect(page.get_by_text("π(B) is B")).to_be_visible()
    page.reload()
    expect(page.locator(HEADLINE).first).to_have_text(headline)
    # Another visitor, after the app was restarted, sees the same by the link alone.
    app.restart()
    open_app(page, app, f"/?run={run_id}")
    expect(page.locator(HEADLINE).first).to_have_text(headline)
    expect(page.locator(PLANE).first).to_be_visible()


def test_a_run_is_cancelled_and_goes_on_again(app, page):
    open_app(page, app)
    page.get_by_text("Matching, plane, BatchNorm").click()
    set_number(page, "Matching seed", 41)
    press_run(page)
    cancel(page)
    page.get_by_role("button", name="Run again").click()
    expect(page.get_by_role("button", name="Cancel")).to_be_visible(timeout=MOST_MILLISECONDS)
    expect(page.get_by_role("button", name="Run again")).to_be_hidden()
    cancel(page)


def test_a_killed_worker_is_replaced_while_one_watches(app, page, small_pair):
    open_app(page, app)
    upload(page, *small_pair)
    expect(page.get_by_text("the pair fits")).to_be_visible(timeout=MOST_MILLISECONDS)
    page.get_by_text("Matching, plane, BatchNorm").click()
    set_number(page, "Matching seed", 7)
    press_run(page)
    headline = page.locator(HEADLINE).first
    expect(headline).to_contain_text("first.safetensors", timeout=MOST_MILLISECONDS)
    for worker in app.workers():
        os.kill(worker, signal.SIGKILL)
    final_headline(page, "first.safetensors")
    expect(page.get_by_text("π(B) is B")).to_be_visible()


def test_a_wrong_file_shows_its_message(app, page, tmp_path, small_pair):
    tensors = load_file(small_pair[0])
    truncated = tmp_path / "truncated.safetensors"
    truncated.write_bytes(small_pair[0].read_bytes()[:5000])
    other = tmp_path / "other.safetensors"
    save_file(
        {
            **tensors,
            "0.weight": torch.zeros(23, 784),
            "0.bias": torch.zeros(23),
            "2.weight": torch.zeros(10, 23),
        },
        other,
    )
    open_app(page, app)
    upload(page, truncated, other)
    message = page.get_by_text(re.compile("truncated.safetensors: .*bytes"))
    expect(message.first).to_be_visible(timeout=MOST_MILLISECONDS)
    run = page.get_by_role("button", name="Run", exact=True)
    expect(run).to_be_disabled()
    page.locator("input[type=file]").nth(0).set_input_files(small_pair[0])
    settled(page)
    expect(page.get_by_text(re.compile(r"0\.weight.*24.*23")).first).to_be_visible(
        timeout=MOST_MILLISECONDS
    )
    expect(run).to_be_disabled()


def test_an_unknown_link_says_so_and_leads_back(app, page):
    open_app(page, app, "/?run=0123456789abcdef")
    expect(page.get_by_text("0123456789abcdef").first).to_be_visible()
    page.get_by_role("button", name="Back to the built-in pair").click()
    expect(page.locator(HEADLINE).first).to_contain_text("Permuting B removes the whole barrier")


def test_runs_and_guide_open(app, page):
    open_app(page, app, "/runs")
    title = page.get_by_text("Two MNIST MLPs that differ in their seed alone")
    expect(title.locator("visible=true").first).to_be_visible()
    open_app(page, app, "/guide")
    expect(page.get_by_text("2209.04836").first).to_be_visible()
    assert no_sideways_scroll(page)
