"""The direction of imports (docs/architecture.md) is kept, and the web process stays light."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ENGINE = ROOT / "engine"

LAYERS = (
    {"errors"},
    {"home"},
    {"checkpoints", "program", "data"},
    {"families", "symmetry"},
    {"matching", "landscape"},
    {"repair"},
    {"merging"},
    {"training", "studies"},
    {"runs", "figures"},
    {"commandline", "__main__"},
)
RANK = {part: rank for rank, layer in enumerate(LAYERS) for part in layer}

# Within a layer these may use one another, in this direction only.
WITHIN = {
    ("__main__", "commandline"),
    ("program", "checkpoints"),
    ("symmetry", "families"),
    ("studies", "training"),
}

TORCH_FREE = (
    "engine",
    "engine.errors",
    "engine.home",
    "engine.data.catalogue",
    "engine.figures",
    "engine.merging.methods",
    "engine.repair.catalogue",
    "engine.runs",
    "engine.runs.local",
    "engine.runs.spec",
    "engine.runs.store",
)


def imported(path: Path) -> Iterator[str]:
    """Yield the modules that a file imports, at the top or inside functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield node.module or ""


def part_of(path: Path) -> str:
    return path.relative_to(ENGINE).parts[0].removesuffix(".py")


FILES = sorted(path for path in ENGINE.rglob("*.py") if path != ENGINE / "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_in_one_direction(path):
    own = part_of(path)
    assert own in RANK, f"{own} has no place in the layers"
    for module in imported(path):
        names = module.split(".")
        assert names[0] not in ("streamlit", "pages", "app"), f"{path} imports {module}"
        if names[0] != "engine" or len(names) == 1:
            continue
        other = names[1]
        allowed = other == own or RANK[other] < RANK[own] or (own, other) in WITHIN
        assert allowed, f"engine.{own} must not import engine.{other}"


def test_pages_hold_no_maths():
    for path in [ROOT / "app.py", *(ROOT / "pages").rglob("*.py")]:
        for module in imported(path):
            assert module.split(".")[0] not in ("torch", "scipy"), f"{path} imports {module}"


def test_the_web_process_never_imports_torch():
    code = "import sys\n" + "".join(f"import {name}\n" for name in TORCH_FREE)
    code += "sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)
    assert done.returncode == 0


def test_a_process_that_evaluates_tiles_loads_what_it_needs_alone():
    """Each worker of a run waits for what it imports: no whole study, no statistics."""
    dear = ("scipy.stats", "scipy.ndimage", "engine.studies.compare", "engine.matching.lap")
    code = "import sys, engine.runs.executors.cargo\n"
    code += f"sys.exit(', '.join({set(dear)} & set(sys.modules)) or None)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_files_and_pages_keep_their_size():
    for path in [*ENGINE.rglob("*.py"), ROOT / "app.py", *(ROOT / "pages").rglob("*.py")]:
        lines = len(path.read_text(encoding="utf-8").splitlines())
        assert lines <= 300, f"{path} has {lines} lines"
    for path in (ROOT / "pages").glob("*.py"):
        lines = len(path.read_text(encoding="utf-8").splitlines())
        assert lines <= 120, f"{path} has {lines} lines"
