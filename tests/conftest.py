"""Settings for every test: one thread, no network, nothing written outside `tmp_path`."""

from __future__ import annotations

import pytest
import torch

torch.set_num_threads(1)

LONG = "tests/runs/"
"""The folder whose files take longest: begun first, or one process would end with them alone."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """Put the long files first; the order is otherwise kept."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    """Point everything that Basinscope writes at a folder of the test's own."""
    monkeypatch.setenv("BASINSCOPE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
    monkeypatch.delenv("BASINSCOPE_HUB_MIRROR", raising=False)
