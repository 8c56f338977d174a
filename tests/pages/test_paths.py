"""Paths, the page: its start, what can be asked and why not, progress, a result, wrong links."""

from __future__ import annotations

import numpy as np
import pytest

from engine.runs import DataSpec, PathSpec
from engine.runs.context import JobResult
from engine.runs.events import EventLog
from pages.ui import keys
from tests.figures.path_synthetic import path_result
from tests.pages.reading import address, charts, words
from tests.pages.stored import A, B, compare_spec

PAGE = "pages/paths.py"
SPEC = PathSpec(a=A, b=B, data=DataSpec(name="mnist"), plane_points=5)


@pytest.fixture
def page(installation, app):
    store, _ = installation
    app.run()
    return store, app.switch_page(PAGE)


def answered(store, spec=SPEC, **more):
    """Store a path's answer as its worker would."""
    run_id = store.submit(spec, "two networks")
    store.index.claim(spec.lane, 1)
    arrays, summary = path_result(spec.ends, **more)
    bend = {name: lambda path: path.write_bytes(b"bend") for name in summary["files"]}
    store.save_result(run_id, JobResult(summary, arrays, bend))
    store.index.finish(run_id, "running", "done")
    return run_id


def test_it_starts_on_the_built_in_pair_and_asks_for_it(page):
    store, app = page
    app.run()
    assert not app.exception
    assert "A path between two networks" in words(app)
    assert "400 steps on 2\u202f000 training samples." in words(app)
    assert app.selectbox(key=keys.PATH_METHOD).disabled
    app.number_input(key=keys.PATH_EPOCHS).set_value(3).run()
    app.selectbox(key=keys.PATH_SHAPE).select("polygon").run()
    app.number_input(key=keys.PATH_RATE).set_value(0.01).run()
    app.button(key=keys.PATH_START).click().run()
    assert not app.exception
    spec = store.spec(address(app))
    assert (spec.a, spec.b, spec.end, spec.shape) == (A, B, "b", "polygon")
    assert (spec.epochs, spec.rate) == (3, 0.01)
    assert store.status(address(app)).title == "mnist-mlp, seed 0 ⤳ mnist-mlp, seed 1"


def test_what_cannot_be_trained_says_why(page):
    _, app = page
    app.run()
    app.number_input(key=keys.PATH_BATCH).set_value(5000).run()
    assert app.button(key=keys.PATH_START).disabled
    assert "A step takes more samples than the 2\u202f000 of the training data." in words(app)
    app.number_input(key=keys.PATH_BATCH).set_value(100).run()
    app.selectbox(key=keys.DATA).select("cifar10").run()
    assert app.button(key=keys.PATH_START).disabled
    assert "this network takes 784" in words(app)


def test_a_run_shows_its_training_then_its_curves_and_can_be_cancelled(page, executor):
    store, app = page
    run_id = store.submit(SPEC, "two networks")
    store.index.claim("compute", 1)
    store.index.report(run_id, "train", 0.3, 12.0)
    app.query_params[keys.RUN] = run_id
    app.run()
    assert not app.exception
    assert '<span class="bs-stage bs-now">Train</span>' in words(app)
    assert "appears with its first steps" in words(app)
    assert app.get("progress")[0].proto.text == "30\u202f%, about 12 s of training left"
    log = EventLog(store.run_folder(run_id) / "events.jsonl")
    for step in (2, 4):
        log.append({"kind": "training", "end": "b", "step": step, "steps": 400, "loss": 1 / step})
    log.append({"kind": "partial", "summary": {"paths": path_result()[1]["paths"]}})
    log.close()
    tiles = store.tiles(run_id)
    index = np.arange(25)
    tiles.put("line-b-test-0000", {"index": index, "loss": np.ones(25)})
    tiles.put("plane-b-test-0000", {"index": index, "loss": np.linspace(0.1, 1, 25)})
    app.run()
    assert not app.exception
    assert "Step 4 of 400." in words(app)
    assert len(charts(app)) == 3
    app.button(key=keys.CANCEL).click().run()
    assert executor.cancelled == [run_id]


@pytest.mark.parametrize("end", ["b", "both"])
def test_a_result_is_drawn_with_its_downloads(page, end):
    store, app = page
    spec = SPEC.model_copy(update={"end": end})
    app.query_params[keys.RUN] = answered(store, PathSpec(**spec.model_dump()))
    app.run()
    assert not app.exception
    text = words(app)
    assert "A curve joins A and B where the straight line has a barrier: .90 → .00" in text
    assert "The plane goes through A, B and the bend" in text
    assert "straight line A → B" in text
    assert "does not pass through them" in text
    assert len(charts(app)) == (3 if end == "b" else 4)
    labels = [button.proto.label for button in app.get("download_button")]
    assert labels[0] == "Download bend-b-1.pt"
    assert app.number_input(key=keys.PATH_EPOCHS).value == 20
    if end == "both":
        app.button_group(key=keys.PATH_PLANE).set_value("pi_b").run()
        assert not app.exception
        assert "The plane goes through A, π(B) and the bend" in words(app)


def test_a_diverged_training_is_said(page):
    store, app = page
    app.query_params[keys.RUN] = answered(store, diverged="It diverged in step 3.")
    app.run()
    assert "The training of the curve from A to B diverged" in words(app)
    assert "It diverged in step 3." in words(app)


def test_earlier_paths_are_listed_here_and_among_the_runs(page):
    store, app = page
    answered(store)
    app.run()
    assert "two networks" in words(app)
    app.switch_page("pages/runs.py").run()
    assert not app.exception
    assert "A curve joins A and B" in words(app)


def test_a_failed_path_says_why_and_runs_again(page):
    store, app = page
    run_id = store.submit(SPEC, "two")
    store.index.claim("compute", 1)
    store.index.finish(run_id, "running", "failed", "Memory ran out.")
    app.query_params[keys.RUN] = run_id
    app.run()
    assert "Memory ran out." in words(app)
    app.button(key=keys.AGAIN).click().run()
    assert store.status(run_id).state == "queued"


def test_wrong_links_say_where_they_belong(page):
    store, app = page
    app.query_params[keys.RUN] = store.submit(compare_spec(samples=7), "pair")
    app.run()
    assert "which Explore shows" in words(app)
    app.query_params[keys.RUN] = "0" * 16
    app.run()
    assert not app.exception
    assert app.button(key=keys.BACK)
