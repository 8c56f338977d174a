"""A real app in its own process and home, and a real Chromium that looks at it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, Page, expect, sync_playwright

from tests.browser.find_browser import find_browser

ROOT = Path(__file__).parent.parent.parent
FLAGS = (
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
START_SECONDS = 60
FAILED = pytest.StashKey[bool]()
MOST_MILLISECONDS = 60_000

expect.set_options(timeout=MOST_MILLISECONDS)


@dataclass
class App:
    """The app on a port of its own; `restart` ends it like a closed terminal and starts anew."""

    home: Path
    port: int
    process: subprocess.Popen | None = field(default=None)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        environment = {
            **os.environ,
            "BASINSCOPE_HOME": str(self.home),
            "OMP_NUM_THREADS": "2",
            "BASINSCOPE_FILES": str(self.home / "server"),
        }
        command = [sys.executable, "-m", "streamlit", "run", "app.py"]
        command += ["--server.port", str(self.port), "--server.address", "127.0.0.1"]
        log = (self.home / "app.log").open("ab")
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
        )
        log.close()
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            try:
                with urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=1):
                    return
            except OSError:
                time.sleep(0.2)
        raise AssertionError((self.home / "app.log").read_text())

    def stop(self) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait(timeout=20)
            self.process = None

    def restart(self) -> None:
        self.stop()
        self.start()

    def workers(self) -> list[int]:
        """Return the process ids of the workers that serve this home."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                command = (folder / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"engine.runs.worker" in command and str(self.home).encode() in command:
                found.append(int(folder.name))
        return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def app(tmp_path_factory) -> Iterator[App]:
    running = App(tmp_path_factory.mktemp("home"), free_port())
    (running.home / "server").mkdir()
    running.start()
    yield running
    running.stop()
    for worker in running.workers():
        os.kill(worker, signal.SIGKILL)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = find_browser()
    assert path, "no Chromium: run tests/browser/install_browser.sh"
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield started
        started.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.when == "call":
        item.stash[FAILED] = report.failed
    return report


@pytest.fixture
def page(browser: Browser, app: App, request: pytest.FixtureRequest) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    opened = context.new_page()
    opened.set_default_timeout(MOST_MILLISECONDS)
    yield opened
    if request.node.stash.get(FAILED, False):
        tell_what_was_seen(opened, app)
    context.close()


def tell_what_was_seen(page: Page, app: App) -> None:
    """Print what a failed test had before its eyes, and the app's own last words."""
    with suppress(Error):
        print(f"\n{page.url}\n{page.locator('body').inner_text(timeout=5000)}")
    for log in (app.home / "app.log", *sorted(app.home.glob("**/worker*.log"))):
        print(f"\n{log.name}:\n{log.read_text(errors='replace')[-3000:]}")
