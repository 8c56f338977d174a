"""Compute the built-in runs: `python -m engine.runs.demo`, which `make demo` calls.

Compares the built-in pair on the complete MNIST test set, and tries matching methods on it on a
sample, through a store and a worker like any other run; keeps the results under
`assets/demo/runs`, where the app opens on them.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from safetensors import safe_open
from tqdm import tqdm

from engine.checkpoints import Checkpoint, fingerprint, read_checkpoint, write_checkpoint
from engine.errors import RunError
from engine.families import recognise
from engine.runs.methods_spec import MethodSpec, MethodsSpec
from engine.runs.shelf import METADATA_KEY
from engine.runs.spec import CompareSpec, DataSpec, Spec
from engine.runs.store import Store
from engine.runs.stored import describe

FOLDER = Path(__file__).resolve().parents[2] / "assets" / "demo"
TRACES = ("events.jsonl",)
"""Files of a run that are not kept: how it was computed is in its provenance."""
TITLE = "Two MNIST MLPs that differ in their seed alone"
METHODS_TITLE = "Methods: two MNIST MLPs that differ in their seed alone"
METHODS = (
    MethodSpec(key="weight", options={"restarts": 3}),
    MethodSpec(key="activation"),
    MethodSpec(key="cosine"),
)


def describe_pair(folder: Path = FOLDER) -> tuple[Checkpoint, ...]:
    """Put each built-in checkpoint's description into its header, as the store keeps it.

    Args:
        folder: holds `<recipe>-seed<n>.safetensors`.
    """
    pair = []
    for path in sorted(folder.glob("*-seed*.safetensors")):
        recipe, _, seed = path.stem.rpartition("-seed")
        with safe_open(path, "pt") as file:
            metadata = dict(file.metadata() or {})
        read = read_checkpoint(path, name=f"{recipe}, seed {seed}")
        metadata[METADATA_KEY] = json.dumps(
            describe(read, recognise(read.tensors)), sort_keys=True, ensure_ascii=False
        )
        write_checkpoint(read.tensors, path, metadata)
        assert fingerprint(read.tensors) == read.sha256
        pair.append(read)
    return tuple(pair)


def demo_spec(pair: tuple[Checkpoint, ...]) -> CompareSpec:
    """Return the question that the app opens on."""
    a, b = pair[:2]
    data = DataSpec(name="mnist", samples=None)
    return CompareSpec(a=a.sha256, b=b.sha256, data=data, plane_points=33)


def demo_methods(pair: tuple[Checkpoint, ...]) -> MethodsSpec:
    """Return which methods are tried on the pair that the app opens on."""
    a, b = pair[:2]
    data = DataSpec(name="mnist", samples=2000)
    return MethodsSpec(a=a.sha256, b=b.sha256, data=data, methods=METHODS, repairs=("repair",))


def build_runs(folder: Path = FOLDER) -> tuple[str, ...]:
    """Compute the built-in runs and replace the stored ones; return their ids.

    Raises:
        RunError: a run failed, with its reason.
    """
    pair = describe_pair(folder)
    shutil.rmtree(folder / "runs", ignore_errors=True)
    return (
        build_run(demo_spec(pair), TITLE, folder),
        build_run(demo_methods(pair), METHODS_TITLE, folder),
    )


def build_run(spec: Spec, title: str, folder: Path = FOLDER) -> str:
    """Compute one run about the built-in pair and keep its result; return its id.

    Raises:
        RunError: the run failed, with its reason.
    """
    with tempfile.TemporaryDirectory() as home:
        store = Store(home, assets=folder)
        run_id = store.submit(spec, title)
        command = [sys.executable, "-m", "engine.runs.worker", "--home", home, "--once"]
        with subprocess.Popen(command) as worker, tqdm(total=1.0, file=sys.stderr) as bar:
            while worker.poll() is None:
                time.sleep(0.5)
                status = store.status(run_id)
                bar.set_description(status.stage or status.state)
                bar.update(status.fraction - bar.n)
        status = store.status(run_id)
        if status.state != "done":
            raise RunError(f"The built-in run is {status.state}: {status.reason}")
        target = folder / "runs" / run_id
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for path in store.run_folder(run_id).glob("[a-z]*"):
            if path.is_file() and path.name not in TRACES:
                shutil.copyfile(path, target / path.name)
        provenance = json.loads(store.file(run_id, "provenance.json").read_text(encoding="utf-8"))
        text = json.dumps({**provenance, "title": title}, indent=1, ensure_ascii=False)
        (target / "provenance.json").write_text(text + "\n", encoding="utf-8")
    return run_id


if __name__ == "__main__":
    print(f"The built-in runs are {' and '.join(build_runs())}.")
