"""How long a user waits from the press on Run to the first picture of the plane, on Explore.

A real app in a home of its own, a real Chromium (headless, tests/browser/find_browser.py), the
built-in pair with the page's own settings and a matching seed that nobody asked before, so that
nothing is stored. The clock is the browser's: from the click to the frame after the first picture
of the plane, be it the quick one or Plotly's. `warm`: the worker has answered another question
before; `opened`: a fresh app whose page has been open for `--look` seconds, in which a worker may
have been prepared; `pressed`: a fresh app, Run as soon as the page is drawn.

    python -m benchmarks.first_picture [--rounds N] [--look SECONDS] [--only warm opened pressed]

Needs requirements-dev.txt and a Chromium (tests/browser/install_browser.sh).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

from engine.runs import Store
from tests.browser.conftest import FLAGS, App, free_port
from tests.browser.find_browser import find_browser

MOST_MILLISECONDS = 180_000
RUN_ADDRESS = re.compile(r"run=[0-9a-f]{16}")

# Stamps the press, and the first frame that shows the quick picture and then Plotly's own.
CLOCK = """
window.firstPicture = {};
const stamps = window.firstPicture;
const places = {
  picture: ".st-key-square_partial_plane_2d :is(img.bs-preview, .js-plotly-plot)",
  interactive: ".st-key-square_partial_plane_2d .js-plotly-plot .main-svg",
};
document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button?.innerText.trim() === "Run") stamps.pressed = performance.now();
}, true);
const look = () => {
  if (stamps.pressed === undefined) return;
  for (const [name, place] of Object.entries(places)) {
    if (stamps[name] !== undefined || !document.querySelector(place)) continue;
    stamps[name] = null;
    requestAnimationFrame(() => setTimeout(() => (stamps[name] = performance.now()), 0));
  }
};
new MutationObserver(look).observe(document, { childList: true, subtree: true });
"""


@contextmanager
def running(browser: Browser) -> Iterator[tuple[App, Page]]:
    """Yield an app in a home of its own, and a page that has Explore open."""
    with tempfile.TemporaryDirectory() as folder:
        app = App(Path(folder), free_port())
        (app.home / "server").mkdir()
        app.start()
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        page = context.new_page()
        page.set_default_timeout(MOST_MILLISECONDS)
        page.add_init_script(CLOCK)
        try:
            explore(page, app)
            yield app, page
        finally:
            context.close()
            app.stop()
            end_workers(app)


def end_workers(app: App) -> None:
    """End the workers of the app's home, and wait until they are gone."""
    for process in app.workers():
        os.kill(process, 9)
    while app.workers():
        time.sleep(0.05)


def explore(page: Page, app: App) -> None:
    """Open Explore on its stored result, and unfold the settings."""
    page.goto(app.url)
    settled(page)
    expect(page.locator(".js-plotly-plot").first).to_be_visible(timeout=MOST_MILLISECONDS)
    page.get_by_text("Matching, plane, BatchNorm").click()
    settled(page)


def settled(page: Page) -> None:
    """Wait until Streamlit has run the script to its end."""
    page.wait_for_selector("[data-testid='stApp'][data-test-script-state='notRunning']")


def ask(page: Page, seed: int) -> None:
    """Set a matching seed and press Run."""
    field = page.get_by_label("Matching seed", exact=True)
    field.fill(str(seed))
    field.press("Enter")
    settled(page)
    page.get_by_role("button", name="Run", exact=True).click()
    page.wait_for_url(RUN_ADDRESS)


def measured(page: Page, seed: int) -> dict[str, float]:
    """Ask with a fresh seed; return the seconds to the first picture and to the interactive one."""
    ask(page, seed)
    found: dict[str, float] = {}
    for name in ("picture", "interactive"):
        page.wait_for_function(f"Number.isFinite(window.firstPicture.{name})")
    stamps = json.loads(page.evaluate("JSON.stringify(window.firstPicture)"))
    for name in ("picture", "interactive"):
        found[name] = (stamps[name] - stamps["pressed"]) / 1000
    return found


def cancel(app: App) -> None:
    """End the run that is computed, so that the worker is free, and warm."""
    store = Store(app.home)
    for run in store.list("compare"):
        if not run.ended:
            store.cancel(run.run_id)
            while not store.status(run.run_id).ended:
                time.sleep(0.1)


def warm(browser: Browser, rounds: int, look: float) -> list[dict[str, float]]:
    """Return rounds of one worker that has answered another question before."""
    del look
    with running(browser) as (app, page):
        measured(page, 1000)
        cancel(app)
        found = []
        for seed in range(1001, 1001 + rounds):
            explore(page, app)
            found.append(measured(page, seed))
            cancel(app)
        return found


def opened(browser: Browser, rounds: int, look: float) -> list[dict[str, float]]:
    """Return rounds of fresh apps, each looked at for a while before the press."""
    found = []
    for seed in range(2001, 2001 + rounds):
        with running(browser) as (_, page):
            time.sleep(look)
            found.append(measured(page, seed))
    return found


def pressed(browser: Browser, rounds: int, look: float) -> list[dict[str, float]]:
    """Return rounds of fresh apps, with a press as soon as the page is drawn."""
    del look
    return opened(browser, rounds, 0.0)


CASES: dict[str, Callable[[Browser, int, float], list[dict[str, float]]]] = {
    "warm": warm,
    "opened": opened,
    "pressed": pressed,
}


def told(rounds: Sequence[dict[str, float]], name: str) -> str:
    """Return the median and the range of a number, in seconds."""
    values = sorted(one[name] for one in rounds)
    return f"{statistics.median(values):.2f} s ({values[0]:.2f} to {values[-1]:.2f})"


def main() -> None:
    """Measure and print a row per case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--look", type=float, default=10.0, help="seconds before `opened` presses")
    parser.add_argument("--only", nargs="*", choices=tuple(CASES), default=tuple(CASES))
    options = parser.parse_args()
    path = find_browser()
    if path is None:
        raise SystemExit("no Chromium is installed: run tests/browser/install_browser.sh")
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f} before", flush=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        for case in options.only:
            rounds = CASES[case](browser, options.rounds, options.look)
            print(f"{case:8} first picture {told(rounds, 'picture')}", end=", ")
            print(f"interactive {told(rounds, 'interactive')}", flush=True)
        browser.close()
    print(f"load {os.getloadavg()[0]:.1f} after")


if __name__ == "__main__":
    main()
