"""Pages run against a made-up installation; no worker is ever started."""

from __future__ import annotations

from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

import engine.runs.shelf
import engine.runs.store
from engine.home import home
from engine.runs import Store
from pages.ui import engine_access
from tests.pages.stored import write_assets

APP = Path(__file__).resolve().parents[2] / "app.py"


class QuietExecutor:
    """Stands where the local executor stands; remembers what it was asked."""

    def __init__(self) -> None:
        self.cancelled: list[str] = []
        self.started = 0

    def ensure_worker(self, *lanes: str) -> None:
        self.started += 1

    def cancel(self, run_id: str) -> None:
        self.cancelled.append(run_id)
        engine_access.store().cancel(run_id)


@pytest.fixture
def executor(monkeypatch):
    """The executor of the test: nothing runs."""
    quiet = QuietExecutor()
    monkeypatch.setattr(engine_access, "executor", lambda: quiet)
    monkeypatch.setattr(engine_access, "prepare", lambda: None)
    return quiet


@pytest.fixture
def installation(tmp_path, monkeypatch, executor):
    """A home without runs and assets with one built-in run; yields (store, its run's id)."""
    assets = tmp_path / "assets"
    run_id = write_assets(assets, resolution=9)
    monkeypatch.setattr(engine.runs.store, "_ASSETS", assets)
    monkeypatch.setattr(engine.runs.shelf, "_ASSETS", assets)
    st.cache_resource.clear()
    st.cache_data.clear()
    yield engine_access.store(), run_id
    st.cache_resource.clear()
    st.cache_data.clear()


@pytest.fixture
def bare(tmp_path, monkeypatch, executor):
    """A home without runs, and no built-in pair."""
    monkeypatch.setattr(engine.runs.store, "_ASSETS", tmp_path / "none")
    monkeypatch.setattr(engine.runs.shelf, "_ASSETS", tmp_path / "none")
    st.cache_resource.clear()
    st.cache_data.clear()
    yield Store(home())
    st.cache_resource.clear()


@pytest.fixture
def app():
    """The app, not run yet."""
    return AppTest.from_file(str(APP), default_timeout=30)
