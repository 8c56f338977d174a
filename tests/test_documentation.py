"""The Python examples of the documentation, run as they are written.

Only what a reader has of their own is put beside them: a module, its files, a few images. A
comparison takes few samples and points, and data that would be downloaded are replaced.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import engine

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("README.md", "docs/python.md", "docs/inspect.md", "docs/planes.md")
BLOCK = re.compile(r"^( *)```python\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
DOWNLOADED, IMAGES = 'data="cifar10"', 'data="images.npz"'
SAMPLES, CLASSES = 24, 10


def module(seed: int) -> nn.Module:
    """Return a small network on images of 3×32×32."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(3072, 6), nn.ReLU(), nn.Linear(6, CLASSES)).eval()


@pytest.fixture
def belongings(tmp_path, monkeypatch):
    """Write a reader's files into the working folder; return the names that examples assume."""
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("a", "b")):
        state = module(seed).state_dict()
        torch.save(state, f"{name}.pt")
        save_file(state, f"{name}.safetensors")
        engine.save_program(module(seed), torch.zeros(2, 3, 32, 32), f"{name}.pt2")
    save_file(module(0).state_dict(), "model.safetensors")
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (SAMPLES, 3, 32, 32), dtype=np.uint8)
    labels = generator.integers(0, CLASSES, SAMPLES)
    np.savez("images.npz", inputs=images, targets=labels)
    quick = partial(
        engine.CompareOptions, data="images.npz", samples=SAMPLES, line_points=3, plane_points=0
    )
    compare = engine.compare
    monkeypatch.setattr(engine, "CompareOptions", quick)
    monkeypatch.setattr(
        engine,
        "compare",
        lambda *models, options=None, **rest: compare(*models, options=options or quick(), **rest),
    )
    pair = (torch.from_numpy(images).float() / 255, torch.from_numpy(labels))
    return {
        "engine": engine,
        "torch": torch,
        "module": module(0),
        "my_module": module(0),
        "samples": {"train": pair, "test": pair},
    }


@pytest.mark.parametrize("page", PAGES)
def test_the_examples_run_as_they_are_written(page, belongings):
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = [(match.start(), dedent(match[2])) for match in BLOCK.finditer(text)]
    assert blocks, page
    for at, block in blocks:
        line = text[:at].count("\n") + 2
        code = compile("\n" * (line - 1) + block.replace(DOWNLOADED, IMAGES), page, "exec")
        exec(code, belongings)


def test_every_block_is_found():
    text = "a\n```python\nx = 1\n```\n- b\n\n  ```python\n  y = 2\n  ```\n"
    assert [dedent(match[2]) for match in BLOCK.finditer(text)] == ["x = 1\n", "y = 2\n"]
