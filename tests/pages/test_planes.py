"""Planes, the page: its start, what can be asked and why not, progress, results, wrong links."""

from __future__ import annotations

import numpy as np
import pytest

from engine.runs import DataSpec, PlaneSpec
from engine.runs.context import JobResult
from engine.runs.events import EventLog
from pages.ui import keys
from pages.ui.planes_choice import _natural
from tests.figures.test_planes import made
from tests.pages.reading import address, charts, words
from tests.pages.stored import A, B, compare_spec, write_tile

PAGE = "pages/planes.py"
DATA = DataSpec(name="mnist")
SPECS = {
    "three": PlaneSpec(plane="three", models=(A, B, A), data=DATA, resolution=9),
    "random": PlaneSpec(plane="random", models=(A,), data=DATA, resolution=9),
    "pca": PlaneSpec(plane="pca", models=(A, B, A), data=DATA, resolution=9),
    "hessian": PlaneSpec(plane="hessian", models=(A,), data=DATA, resolution=9),
}


@pytest.fixture
def page(installation, app):
    store, _ = installation
    app.run()
    return store, app.switch_page(PAGE)


def answered(store, kind, split="test"):
    """Store a plane's answer as its worker would."""
    run_id = store.submit(SPECS[kind], f"a {kind} plane")
    store.index.claim("compute", 1)
    arrays, summary = made(kind, split)
    files = {"axis-u.safetensors": lambda path: path.write_bytes(b"axis")}
    store.save_result(run_id, JobResult(summary=summary, arrays=arrays, files=files))
    store.index.finish(run_id, "running", "done")
    return run_id


def test_it_starts_on_a_built_in_network_and_asks_for_it(page):
    store, app = page
    app.run()
    assert not app.exception
    assert app.multiselect(key=keys.PLANES_MODELS).value == [A]
    assert "Planes of other kinds" in words(app)
    app.selectbox(key=keys.PLANES_SCALING).select("layer").run()
    app.checkbox(key=keys.PLANES_VECTORS).check().run()
    app.selectbox(key=keys.PLANES_POINTS).select(9).run()
    app.text_input(key=keys.PLANES_EXTENT).input("-2, 2, -1, 1").run()
    app.button(key=keys.PLANES_START).click().run()
    assert not app.exception
    run_id = address(app)
    assert store.spec(run_id) == PlaneSpec(
        plane="random",
        models=(A,),
        data=DATA,
        resolution=9,
        extent=(-2, 2, -1, 1),
        scaling="layer",
        vectors=True,
    )
    assert store.status(run_id).title == "Random directions: mnist-mlp, seed 0"
    assert "The plane appears as soon as" in words(app)


def test_what_cannot_be_asked_says_why(page):
    _, app = page
    app.run()
    app.selectbox(key=keys.PLANES_KIND).select("three").run()
    assert app.button(key=keys.PLANES_START).disabled
    assert "This plane takes 3 networks; 1 are chosen." in words(app)
    app.selectbox(key=keys.PLANES_KIND).select("hessian").run()
    assert not app.button(key=keys.PLANES_START).disabled
    app.text_input(key=keys.PLANES_EXTENT).input("1, 2").run()
    assert "Extent: it takes four numbers, not 2" in words(app)
    app.text_input(key=keys.PLANES_EXTENT).input("1,,2,3,4").run()
    assert app.button(key=keys.PLANES_START).disabled
    assert "Extent: '1,,2,3,4' is no list of numbers" in words(app)
    app.text_input(key=keys.PLANES_EXTENT).input("1, 0, 0, 1").run()
    assert "(1.0, 0.0, 0.0, 1.0) is empty" in words(app)
    app.text_input(key=keys.PLANES_EXTENT).input("").run()
    app.selectbox(key=keys.DATA).select("cifar10").run()
    assert "this network takes 784" in words(app)


def test_the_hessian_is_asked_with_its_tolerance_and_products(page):
    store, app = page
    app.run()
    app.selectbox(key=keys.PLANES_KIND).select("hessian").run()
    app.number_input(key=keys.PLANES_TOLERANCE).set_value(2.5e-6).run()
    app.number_input(key=keys.PLANES_PRODUCTS).set_value(1000).run()
    app.text_input(key=keys.PLANES_EXTENT).input("-0.123456789, 1, -1, 1").run()
    app.button(key=keys.PLANES_START).click().run()
    assert not app.exception
    spec = store.spec(address(app))
    assert (spec.tolerance, spec.most_products) == (2.5e-6, 1000)
    assert spec.extent == (-0.123456789, 1, -1, 1)
    assert app.text_input(key=keys.PLANES_EXTENT).value == "-0.123456789, 1, -1, 1"
    app.number_input(key=keys.PLANES_TOLERANCE).set_value(0.0).run()
    assert app.button(key=keys.PLANES_START).disabled
    assert "tolerance: Input should be greater than 0" in words(app)


def test_a_trajectory_is_in_the_order_of_its_names(page):
    store, app = page
    names = ["epoch-10.pt", "epoch-9.pt", "epoch-100.pt"]
    assert sorted(names, key=_natural) == ["epoch-9.pt", "epoch-10.pt", "epoch-100.pt"]
    app.query_params[keys.RUN] = store.submit(SPECS["pca"], "a training")
    app.run()
    assert not app.exception
    assert app.selectbox(key=keys.PLANES_KIND).value == "pca"
    assert not app.checkbox(key=keys.PLANES_BY_NAME).value


@pytest.mark.parametrize("kind", SPECS)
def test_a_result_is_drawn_with_its_checks(page, kind):
    store, app = page
    app.query_params[keys.RUN] = answered(store, kind)
    app.run()
    assert not app.exception
    text = words(app)
    assert "Geometry, measured" in text
    assert "unit of both axes" in text
    assert app.selectbox(key=keys.PLANES_KIND).value == kind
    assert len(charts(app)) == 2
    labels = [button.proto.label for button in app.get("download_button")]
    assert labels[:3] == ["Stand-alone HTML", "All numbers (result.npz)", "The first axis"]
    assert "A slice can show" in text


def test_a_plane_of_training_losses_has_its_own_cap(page):
    store, app = page
    app.query_params[keys.RUN] = answered(store, "random", split="train")
    app.run()
    assert not app.exception
    assert app.selectbox(key=keys.CAP).options[0] == "cap 3 (auto)"
    assert charts(app)[0]["layout"]["xaxis"]["title"]["text"] == "first, unit = 3.25"


def test_the_plane_sharpens_while_it_is_computed_and_can_be_cancelled(page, executor):
    store, app = page
    run_id = store.submit(SPECS["random"], "a plane")
    store.index.claim("compute", 1)
    places = np.array([0, 8, 40, 72, 80])
    write_tile(store, run_id, "plane-test-0000", places, np.linspace(1, 2, 5))
    summary = made("random")[1]
    plane = {**summary["plane"], "extent": [-1, 1, -1, 1]}
    log = EventLog(store.run_folder(run_id) / "events.jsonl")
    log.append({"kind": "partial", "summary": {**summary, "plane": plane, "rows": []}})
    log.close()
    app.query_params[keys.RUN] = run_id
    app.run()
    assert not app.exception
    assert "5 of 81 points are computed" in words(app)
    assert len(charts(app)) == 1
    app.button(key=keys.CANCEL).click().run()
    assert executor.cancelled == [run_id]


def test_an_ended_run_says_why_and_runs_again(page):
    store, app = page
    run_id = store.submit(SPECS["random"], "a plane")
    store.index.claim("compute", 1)
    store.index.finish(run_id, "running", "failed", "Memory ran out.")
    app.query_params[keys.RUN] = run_id
    app.run()
    assert "Memory ran out." in words(app)
    app.button(key=keys.AGAIN).click().run()
    assert store.status(run_id).state == "queued"


def test_earlier_planes_are_listed_here_and_among_the_runs(page):
    store, app = page
    answered(store, "hessian")
    app.run()
    assert "The most curved directions at net0.pt" in words(app)
    app.switch_page("pages/runs.py").run()
    assert not app.exception
    assert "a hessian plane" in words(app)


def test_wrong_links_say_where_they_belong(page):
    store, app = page
    app.query_params[keys.RUN] = store.submit(compare_spec(samples=7), "pair")
    app.run()
    assert "which Explore shows" in words(app)
    app.query_params[keys.RUN] = "0" * 16
    app.run()
    assert not app.exception
    assert app.button(key=keys.BACK)
