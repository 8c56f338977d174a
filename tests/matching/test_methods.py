"""The registry of methods, and the page that tells how to choose."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import engine
from engine.matching import METHODS
from engine.matching.tap_statistics import STATISTICS

PAGE = Path(__file__).parent.parent.parent / "docs" / "matching.md"


@pytest.mark.parametrize("key", METHODS)
def test_the_page_names_every_method(key):
    text = PAGE.read_text(encoding="utf-8")
    method = METHODS[key]
    assert f"--method {key}" in text
    assert method.title.lower() in text.lower()
    assert f"engine.{method.call}" in text
    assert method.needs.value in text


@pytest.mark.parametrize("statistic", STATISTICS)
def test_the_page_names_every_statistic(statistic):
    assert f"`{statistic}`" in PAGE.read_text(encoding="utf-8")


def test_no_torch_is_needed_to_list_the_methods():
    code = "import sys, engine.matching.methods; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_options_are_the_keywords_of_the_function(method):
    parameters = inspect.signature(getattr(engine, method.call)).parameters
    common = {"seed", "progress", "should_stop", "device"}
    own = {n: p.default for n, p in parameters.items() if p.kind == p.KEYWORD_ONLY}
    assert {o.name: o.default for o in method.options} == {
        name: default for name, default in own.items() if name not in common
    }
    assert common <= own.keys()


def test_methods_are_found_under_their_keys():
    assert all(key == method.key for key, method in METHODS.items())
    assert all(method.call in engine.__all__ for method in METHODS.values())
