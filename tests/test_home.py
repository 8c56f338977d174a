"""Where things are written."""

from __future__ import annotations

import platformdirs
import pytest

from engine.errors import RunError
from engine.home import home


def test_the_variable_decides_and_the_folder_is_created(tmp_path, monkeypatch):
    monkeypatch.setenv("BASINSCOPE_HOME", str(tmp_path / "a" / "b"))
    assert home() == (tmp_path / "a" / "b").resolve()
    assert home().is_dir()


def test_the_default_is_the_platforms_own_place(tmp_path, monkeypatch):
    monkeypatch.delenv("BASINSCOPE_HOME")
    monkeypatch.setattr(platformdirs, "user_data_dir", lambda name: str(tmp_path / name))
    assert home() == (tmp_path / "basinscope").resolve()


def test_a_folder_that_cannot_be_made_is_told(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("BASINSCOPE_HOME", str(tmp_path / "file" / "home"))
    with pytest.raises(RunError, match=r"file/home cannot be used \(.*\); set BASINSCOPE_HOME to"):
        home()
