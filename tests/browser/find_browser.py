"""Prints the path of a Chromium that the browser tests can drive; exits 1 without one."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find_browser() -> str | None:
    """Return the executable of an installed Chromium or Chrome, else of Playwright's own."""
    for name in NAMES:
        path = shutil.which(name)
        if path and "/snap/" not in str(Path(path).resolve()):
            return path
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    return own if Path(own).exists() else None


if __name__ == "__main__":
    found = find_browser()
    print(found or "no Chromium is installed")
    sys.exit(0 if found else 1)
