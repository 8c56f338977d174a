"""The store: asked once, answered for ever; damage told and healed; nothing outside its folder."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.errors import RunError
from engine.runs import CompareSpec, IngestDataSpec, IngestSpec, PairSpec, Store
from engine.runs.context import JobResult
from tests.runs.conftest import answer, done
from tests.runs.slow_jobs import SlowSpec

A, B = "a" * 64, "b" * 64
TRAVERSALS = ["../../x", "..", "/etc/passwd", "0" * 16 + "/../x", "", "0" * 15 + "\x00", "%2e%2e"]


def builtin(store: Store, spec: SlowSpec, tmp_path: Path) -> str:
    """Make `spec` a built-in run of `store`: computed elsewhere, copied into the assets."""
    other = Store(tmp_path / "other", assets=tmp_path / "none")
    run_id = done(other, spec)
    shutil.copytree(other.run_folder(run_id), tmp_path / "assets" / "runs" / run_id)
    provenance = tmp_path / "assets" / "runs" / run_id / "provenance.json"
    provenance.write_text(json.dumps({"title": "The built-in pair"}))
    assert store.home != other.home
    return run_id


def test_a_question_asked_twice_is_answered_from_the_store(store: Store) -> None:
    run_id = done(store, SlowSpec())
    assert store.submit(SlowSpec()) == run_id
    status = store.status(run_id)
    assert (status.state, status.attempts) == ("done", 1)
    assert store.spec(run_id) == SlowSpec()


def test_a_running_question_is_joined(store: Store) -> None:
    run_id = store.submit(SlowSpec())
    assert store.index.claim("compute", 1) is not None
    assert store.submit(SlowSpec()) == run_id
    assert store.status(run_id).state == "running"
    assert store.index.claim("compute", 2) is None


def test_concurrent_submits_make_one_run(store: Store) -> None:
    found: list[str] = []

    def ask() -> None:
        own = Store(store.home, assets=store.home / "none")
        found.extend(own.submit(SlowSpec(seed=seed)) for seed in range(10))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 80
    assert len(store.list()) == len(set(found)) == 10


def test_runs_wait_in_the_order_asked(store: Store) -> None:
    first, second = store.submit(SlowSpec(seed=1)), store.submit(SlowSpec(seed=2))
    assert (store.status(first).ahead, store.status(second).ahead) == (0, 1)
    claimed = store.index.claim("compute", 1)
    assert claimed is not None
    assert claimed[0] == first
    assert [status.run_id for status in store.list()] == [second, first]
    assert store.list(kind="compare") == ()


def test_a_cancelled_run_is_queued_anew_when_asked_again(store: Store) -> None:
    run_id = store.submit(SlowSpec())
    store.cancel(run_id)
    status = store.status(run_id)
    assert (status.state, status.reason) == ("cancelled", "You cancelled it.")
    with pytest.raises(RunError, match=r"has no result, it is cancelled: You cancelled it\."):
        store.result(run_id)
    store.submit(SlowSpec())
    assert store.status(run_id).state == "queued"
    with pytest.raises(RunError, match=r"has no result, it is queued\."):
        store.result(run_id)
    answer(store)
    assert store.status(run_id).state == "done"


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "gone", "no summary", "deep"])
def test_a_damaged_result_is_told_and_computed_again(store: Store, damage: str) -> None:
    run_id = done(store, SlowSpec(tiles=5))
    path = store.run_folder(run_id) / "result.npz"
    good = path.read_bytes()
    if damage == "gone":
        path.unlink()
    elif damage == "no summary":
        np.savez(path, values=np.zeros(3))
    elif damage == "deep":
        np.savez(path, summary=np.array("[" * 100_000))
    else:
        half = len(good) // 2
        flipped = good[:half] + bytes([good[half] ^ 1]) + good[half + 1 :]
        path.write_bytes({"truncated": good[:half], "flipped": flipped, "empty": b""}[damage])
    message = "has no result yet" if damage == "gone" else "is damaged .* Compute it again"
    with pytest.raises(RunError, match=message):
        store.result(run_id)
    store.submit(SlowSpec(tiles=5))
    assert store.status(run_id).state == "queued"
    answer(store)
    assert path.read_bytes() == good
    kinds = [event["kind"] for event in store.events(run_id).events]
    assert kinds.count("computed") == 5, "its tiles were whole and needed no work"


def test_a_lost_provenance_hides_no_result(store: Store) -> None:
    run_id = done(store, SlowSpec())
    (store.run_folder(run_id) / "provenance.json").write_text("[half")
    assert store.result(run_id).provenance == {}
    (store.run_folder(run_id) / "provenance.json").write_text("[1]")
    assert store.result(run_id).provenance == {}


def test_recompute_uses_the_tiles(store: Store) -> None:
    run_id = done(store, SlowSpec())
    store.recompute(run_id)
    answer(store)
    assert store.status(run_id).state == "done"
    with pytest.raises(RunError, match=f"There is no run {'0' * 16} here"):
        store.recompute("0" * 16)


@pytest.mark.parametrize("run_id", TRAVERSALS)
def test_an_id_is_no_path(store: Store, run_id: str) -> None:
    calls = [store.status, store.spec, store.result, store.partial, store.events, store.cancel]
    calls += [store.delete, store.run_folder, store.tiles, store.recompute]
    calls.append(lambda run_id: store.file(run_id, "spec.json"))
    calls.append(lambda run_id: store.save_result(run_id, JobResult(summary={})))
    for call in calls:
        with pytest.raises(RunError, match="is no run: a run's id is 16"):
            call(run_id)


@pytest.mark.parametrize("name", ["../spec.json", "/etc/passwd", "", "tiles", ".hidden", "x.bin"])
def test_only_the_files_of_a_run_are_handed_out(store: Store, name: str) -> None:
    run_id = done(store, SlowSpec())
    (store.run_folder(run_id) / ".hidden").touch()
    with pytest.raises(RunError, match=f"The run {run_id} has no file"):
        store.file(run_id, name)


def test_an_unknown_run_is_told(store: Store) -> None:
    for call in (store.status, store.spec, store.result, store.partial, store.delete):
        with pytest.raises(RunError, match="There is no run 0123456789abcdef here"):
            call("0123456789abcdef")
    assert store.events("0123456789abcdef").events == ()
    store.cancel("0123456789abcdef")


def test_delete_forgets_a_run_and_its_files(store: Store) -> None:
    run_id = done(store, SlowSpec())
    store.delete(run_id)
    assert list((store.home / "runs").iterdir()) == []
    assert store.list() == ()
    store.submit(SlowSpec())
    with pytest.raises(RunError, match="is queued; cancel it before you delete it"):
        store.delete(run_id)
    store.index.claim("compute", 1)
    with pytest.raises(RunError, match="is running; cancel it before you delete it"):
        store.delete(run_id)


def test_built_in_runs_are_part_of_the_view(store: Store, tmp_path: Path) -> None:
    run_id = builtin(store, SlowSpec(tiles=1), tmp_path)
    own = done(store, SlowSpec(seed=5))
    assert store.submit(SlowSpec(tiles=1)) == run_id
    status = store.status(run_id)
    assert (status.state, status.builtin, status.title) == ("done", True, "The built-in pair")
    assert store.result(run_id).arrays["values"].shape == (100,)
    assert [found.run_id for found in store.list()] == [own, run_id]
    with pytest.raises(RunError, match="A built-in run cannot be deleted"):
        store.delete(run_id)


def test_a_damaged_built_in_run_is_computed_here(store: Store, tmp_path: Path) -> None:
    run_id = builtin(store, SlowSpec(tiles=1), tmp_path)
    shipped = tmp_path / "assets" / "runs" / run_id / "result.npz"
    shipped.write_bytes(b"")
    with pytest.raises(RunError, match="is damaged"):
        store.result(run_id)
    store.submit(SlowSpec(tiles=1))
    answer(store)
    assert store.result(run_id).arrays["values"].shape == (100,)
    assert shipped.read_bytes() == b""


def test_a_damaged_spec_is_told(store: Store) -> None:
    run_id = done(store, SlowSpec())
    path = store.run_folder(run_id) / "spec.json"
    path.write_text("{")
    with pytest.raises(RunError, match=f"The spec of run {run_id} is damaged: The spec is no JSON"):
        store.spec(run_id)
    path.write_text(SlowSpec(seed=9).canonical)
    with pytest.raises(RunError, match=f"damaged: it belongs to {SlowSpec(seed=9).run_id}"):
        store.spec(run_id)


def test_what_a_spec_names_must_be_stored(store: Store) -> None:
    compare: dict[str, Any] = {"a": A, "b": B, "data": {"name": "mnist"}}
    specs = [CompareSpec(**compare), PairSpec(a=A, b=B)]
    for spec in specs:
        with pytest.raises(RunError, match=r"The checkpoint aaaaaaaaaaaa… is not stored here"):
            store.submit(spec)
    for spec in (IngestSpec(upload=A), IngestDataSpec(upload=A, name="x")):
        with pytest.raises(RunError, match=r"The upload aaaaaaaaaaaa… is not stored here"):
            store.submit(spec)
    assert store.list() == ()


def test_uploaded_data_must_be_stored(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store.shelf, "checkpoint", lambda sha256: None)
    spec = CompareSpec.model_validate({"a": A, "b": B, "data": {"name": "x", "sha256": B}})
    with pytest.raises(RunError, match=r"The data bbbbbbbbbbbb… is not stored here"):
        store.submit(spec)


def test_status_and_events_are_cheap_and_safe_from_many_threads(store: Store) -> None:
    run_id = done(store, SlowSpec())
    failures: list[BaseException] = []

    def poll() -> None:
        try:
            for _ in range(50):
                assert store.status(run_id).state == "done"
                assert store.events(run_id).events
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=poll) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_the_web_process_needs_no_torch() -> None:
    code = (
        "import sys, engine.runs, engine.runs.spec, engine.runs.store, engine.runs.local;"
        "heavy = {'torch', 'scipy', 'streamlit'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_home_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(RunError, match=r"file cannot be used \(.*\); set BASINSCOPE_HOME"):
        Store(tmp_path / "file")
