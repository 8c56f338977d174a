"""The web process stays light: no page imports torch, and page files stay short."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
import sys
from pathlib import Path
import engine.runs.shelf, engine.runs.store
from streamlit.testing.v1 import AppTest
from tests.pages.stored import write_assets
assets = Path(sys.argv[1])
write_assets(assets, resolution=5)
engine.runs.store._ASSETS = engine.runs.shelf._ASSETS = assets
from pages.ui import engine_access
class Quiet:
    def ensure_worker(self, *lanes):
        pass
engine_access.executor = Quiet  # the pages ask runs; none is computed here
app = AppTest.from_file("app.py", default_timeout=60).run()
assert not app.exception, app.exception
for page in ("inspect", "merge", "planes", "runs", "guide"):
    app.switch_page(f"pages/{page}.py").run()
    assert not app.exception, app.exception
heavy = [name for name in sys.modules if name.split(".")[0] in ("torch", "kaleido")]
assert not heavy, heavy[:5]
"""


def test_no_page_imports_torch(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "assets")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_page_files_are_short():
    for path in [ROOT / "app.py", *(ROOT / "pages").glob("*.py")]:
        assert len(path.read_text().splitlines()) <= 120, path.name
