"""The catalogue agrees with itself and costs no torch."""

from __future__ import annotations

import subprocess
import sys

import pytest

import engine.data
from engine.data.catalogue import DATASETS


@pytest.mark.parametrize("name", DATASETS)
def test_entries_are_consistent(name):
    info = DATASETS[name]
    channels = info.shape[0] if info.kind == "images" else 1
    assert len(info.mean) == len(info.std) == channels
    assert set(info.sizes) == set(info.splits)
    assert info.repo.count("/") == 1
    assert info.title and info.licence


def test_the_catalogue_is_imported_without_torch():
    code = "import sys, engine.data; engine.data.DATASETS; print('torch' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"


def test_unknown_names_of_the_package_are_refused():
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        engine.data.nothing  # noqa: B018
