"""Explore: the built-in run, links, settings, a run from start to end, every kind of failure."""

from __future__ import annotations

import json

import numpy as np
import pytest

from engine.errors import RunError
from engine.runs import PairSpec, Partial
from pages.ui import keys
from pages.ui.progress import how_far
from pages.ui.ways import STATE
from tests.figures.synthetic import stored, synthetic_result
from tests.pages.reading import address, charts, run_button, views, words
from tests.pages.stored import A, B, add_run, compare_spec, write_run, write_tile


def test_it_opens_on_the_builtin_run(installation, app):
    app.run()
    assert not app.exception
    text = words(app)
    assert "Permuting B removes the whole barrier" in text
    assert "π(B) is B" in text
    assert "Basins on this plane" in text
    assert "mnist-mlp, seed 0" in text
    assert "networks compute the same function as B" in text
    names = {trace.get("name") for figure in charts(app) for trace in figure["data"]}
    assert {"A", "B", "π(B)", "A → B, as trained"} <= names
    assert app.selectbox(key=keys.SOURCE).value == "builtin"
    assert not run_button(app).disabled


def asked(installation, task: str) -> None:
    """Replace the built-in run's result by one of another task."""
    store, run_id = installation
    folder = store.file(run_id, "result.npz").parent
    write_run(folder, compare_spec(samples=None), resolution=9, task=task)


def test_a_regression_is_shown_without_right_answers(installation, app):
    asked(installation, "regression")
    app.run()
    text = words(app)
    assert not app.exception
    assert "Midpoint R²" in text
    assert "accuracy" not in text.lower()
    assert "the largest difference in any output" in text
    assert "test loss .0900, R² .955" in text
    app.query_params["tab"] = "Curves"
    app.run()
    assert not app.exception
    assert app.segmented_control(key=keys.QUANTITY).options == ["loss"]


def test_a_language_model_is_shown_with_tokens_right(installation, app):
    asked(installation, "language")
    app.query_params["tab"] = "Definitions"
    app.run()
    text = words(app)
    assert not app.exception
    assert "Midpoint tokens right" in text
    assert "perplexity 1.0" in text
    assert "It is language." in text


@pytest.mark.parametrize(
    ("tab", "expected"),
    [
        ("Curves", "one standard error"),
        ("Layers", "changed place"),
        ("Matching", "A whole sweep brought no gain"),
        ("Definitions", "Entezari"),
        ("Download", "Stand-alone HTML"),
    ],
)
def test_every_tab_draws(installation, app, tab, expected):
    app.query_params[keys.TAB] = tab
    app.run()
    assert not app.exception
    assert expected in words(app)


def test_the_address_restores_the_view(installation, app):
    _, run_id = installation
    app.query_params[keys.RUN] = run_id
    app.query_params[keys.VIEW] = "3D"
    app.query_params[keys.SCALE] = "linear"
    app.run()
    assert not app.exception
    kinds = {trace["type"] for figure in charts(app) for trace in figure["data"]}
    assert "surface" in kinds


@pytest.mark.parametrize(
    ("link", "sentence"),
    [
        ("0123456789abcdef", "There is no run 0123456789abcdef here."),
        ("../../etc/passwd", "run"),
    ],
)
def test_a_wrong_link_has_a_message_and_a_way_back(installation, app, link, sentence):
    app.query_params[keys.RUN] = link
    app.run()
    assert not app.exception
    assert sentence in app.error[0].value
    app.button(key=keys.BACK).click().run()
    assert not app.exception
    assert not app.error
    assert "removes the whole barrier" in words(app)


def test_a_damaged_result_has_a_message(installation, app):
    store, _ = installation
    run_id = add_run(store, compare_spec(samples=10), "pair")
    (store.run_folder(run_id) / "result.npz").write_bytes(b"PK broken")
    app.query_params[keys.RUN] = run_id
    app.run()
    assert not app.exception
    assert "damaged" in app.error[0].value


def test_a_link_to_something_else_is_refused(installation, app):
    store, _ = installation
    run_id = store.submit(PairSpec(a=A, b=B), "pair")
    app.query_params[keys.RUN] = run_id
    app.run()
    assert "no comparison" in app.error[0].value


def test_run_asks_what_the_settings_say_and_opens_it(installation, app, executor):
    store, _ = installation
    app.run()
    app.checkbox(key=keys.ALL_SAMPLES).uncheck().run()
    app.number_input(key=keys.SAMPLES).set_value(500)
    app.number_input(key=keys.SEED).set_value(3)
    app.selectbox(key=keys.PLANE_POINTS).set_value(9).run()
    assert "by the speed of the run shown" in words(app)
    run_button(app).click().run()
    assert not app.exception
    run_id = address(app)
    spec = store.spec(run_id)
    assert (spec.data.samples, spec.seed, spec.plane_points) == (500, 3, 9)
    assert (spec.a, spec.b) == (A, B)
    assert spec.data.mean is None
    assert executor.started >= 1  # asked again by the progress of a waiting run
    assert "mnist-mlp, seed 0 → mnist-mlp, seed 1" in words(app)


@pytest.mark.parametrize(
    ("mode", "fields"),
    [
        ("accuracy", {"plane_mode": "progressive", "plane_accuracy": 0.01, "plane_seconds": None}),
        ("time", {"plane_mode": "progressive", "plane_accuracy": 0.0, "plane_seconds": 20.0}),
        ("sobol", {"plane_mode": "sobol", "plane_sobol": 2048}),
        ("fort", {"plane_mode": "full", "plane_points": 21, "plane_rows": 20}),
    ],
)
def test_points_precision_and_statistics_are_choices_of_a_run(installation, app, mode, fields):
    store, _ = installation
    app.run()
    app.selectbox(key=keys.PLANE_MODE).set_value(mode)
    app.selectbox(key=keys.PRECISION).set_value("fast")
    app.selectbox(key=keys.STATISTICS).set_value("repair").run()
    app.number_input(key=keys.RESET_SAMPLES).set_value(300).run()
    assert not app.exception
    run_button(app).click().run()
    spec = store.spec(address(app))
    assert {name: getattr(spec, name) for name in fields} == fields
    assert (spec.precision, spec.statistics, spec.reset, spec.reset_samples) == (
        "fast",
        "repair",
        None,
        300,
    )
    assert app.selectbox(key=keys.PLANE_MODE).value == mode
    assert app.selectbox(key=keys.STATISTICS).value == "repair"


def test_an_exact_grid_is_one_press_from_a_preview(installation, app):
    store, _ = installation
    spec = compare_spec(samples=10).model_copy(update={"plane_mode": "progressive", "seed": 4})
    run_id = add_run(store, spec, "pair")
    arrays, summary = synthetic_result(resolution=9)
    summary["plane"]["estimate"] = {"stop_sentence": "Stopped at the accuracy. 80 points."}
    np.savez(store.run_folder(run_id) / "result.npz", **stored(arrays, summary))
    app.query_params[keys.RUN] = run_id
    app.run()
    assert "Stopped at the accuracy. 80 points." in words(app)
    app.button(key=keys.EXACT_GRID).click().run()
    assert not app.exception
    asked = store.spec(address(app))
    assert asked == spec.model_copy(update={"plane_mode": "full"})
    assert store.status(asked.run_id).title == "pair"


def test_a_preview_in_progress_says_how_well_it_is_known():
    arrays = {"plane_done": np.ones((3, 3), dtype=bool)}
    estimate = {
        "points_full": 29,
        "points_sample": 366,
        "sample": 128,
        "error_median": 0.0072,
        "error_p95": 0.028,
    }
    said = how_far(Partial(arrays, {"plane": {"estimate": estimate}}, ()))
    assert "29 points are evaluated on all data, 366 on 128 samples alone" in said
    assert "estimated error 0.72\u202f% in the median, 2.8\u202f% at the 95th" in said


def test_run_on_what_is_shown_says_so_and_asks_nothing(installation, app, executor):
    app.run()
    run_button(app).click().run()
    assert not app.exception
    assert "it is the one shown" in app.toast[0].value
    assert executor.started == 0


def test_a_running_run_shows_stages_sweeps_and_the_coarse_plane(installation, app):
    store, _ = installation
    spec = compare_spec(samples=10)
    run_id = add_run(store, spec, "pair", "running")
    store.index.report(run_id, "plane", 0.4, 12.0)
    side = spec.plane_points
    index = np.array([r * side + c for r in range(0, side, 4) for c in range(0, side, 4)])
    write_tile(store, run_id, "plane-test-0", index, np.linspace(0.1, 2, len(index)))
    events = [
        {"kind": "sweep", "sweep": 1, "objective": 5.0},
        {"kind": "tile", "key": "plane-test-0", "done": 3, "total": 9},
    ]
    lines = "".join(json.dumps(event) + "\n" for event in events)
    (store.run_folder(run_id) / "events.jsonl").write_text(lines)
    app.query_params[keys.RUN] = run_id
    app.run()
    assert not app.exception
    text = words(app)
    assert "✓ Match" in text
    assert "49 of 625 points" in text
    assert "3 of 9 tiles" in text
    names = {trace.get("name") for figure in charts(app) for trace in figure["data"]}
    assert {"test loss", "A", "B", "best start"} <= names


def test_a_first_look_says_that_it_is_one(installation, app):
    store, _ = installation
    spec = compare_spec(samples=1000)
    run_id = add_run(store, spec, "pair", "running")
    store.index.report(run_id, "look", 0.2, None)
    write_tile(store, run_id, "look-test", np.array([0, 24, 600, 624]), np.linspace(0.1, 2, 4))
    app.query_params[keys.RUN] = run_id
    app.run()
    assert not app.exception
    assert "A first look: 4 points on a drawn sample, interpolated; all data follow." in words(app)
    assert '<span class="bs-stage bs-now">First look</span>' in words(app)


def test_a_plane_is_looked_at_from_one_place_before_and_after_it_is_finished(installation, app):
    store, _ = installation
    spec = compare_spec(samples=10)
    run_id = add_run(store, spec, "pair", "running")
    index = np.arange(0, spec.plane_points**2, 7)
    write_tile(store, run_id, "plane-test-0", index, np.linspace(0.1, 2, len(index)))
    app.query_params[keys.RUN] = run_id
    app.query_params[keys.VIEW] = "3D"
    app.run()
    assert not app.exception
    assert any(trace["type"] == "surface" for figure in charts(app) for trace in figure["data"])
    before = views(app)
    write_run(store.run_folder(run_id), spec, resolution=9)
    store.index.finish(run_id, "running", "done")
    app.run()
    assert not app.exception
    assert before == views(app) == {f"{run_id} surface"}
    app.segmented_control(key=keys.VIEW).set_value("2D").run()
    assert views(app) == {f"{run_id} flat"}


def test_errors_are_a_layer_of_the_plane(installation, app):
    app.run()
    assert app.selectbox(key=keys.LAYER).options == ["loss", "± samples"]
    app.selectbox(key=keys.LAYER).set_value("se").run()
    assert not app.exception
    titles = [f["data"][0].get("colorbar", {}).get("title", {}).get("text") for f in charts(app)]
    assert "test loss: standard error over samples" in titles
    app.segmented_control(key=keys.VIEW).set_value("3D").run()
    (surface,) = [f["data"][0] for f in charts(app) if f["data"][0]["type"] == "surface"]
    assert surface["colorbar"]["title"]["text"] == "test loss: standard error over samples"
    assert "corners equal their models" in words(app)


def test_cancel(installation, app, executor):
    store, _ = installation
    run_id = add_run(store, compare_spec(samples=10), "pair", "queued")
    app.query_params[keys.RUN] = run_id
    app.run()
    app.button(key=keys.CANCEL).click().run()
    assert not app.exception
    assert executor.cancelled == [run_id]
    assert "Finished tiles are kept" in app.info[0].value
    app.button(key=keys.AGAIN).click().run()
    assert store.status(run_id).state == "queued"


def test_a_waiting_run_says_why_no_worker_takes_it(installation, app, executor, monkeypatch):
    store, _ = installation
    run_id = add_run(store, compare_spec(samples=10), "pair", "queued")

    def fail(*_):
        raise RunError("The worker cannot be started; the log says why.")

    monkeypatch.setattr(executor, "ensure_worker", fail)
    app.query_params[keys.RUN] = run_id
    app.run()
    assert app.error[0].value == "The worker cannot be started; the log says why."
    assert not app.exception


def test_a_failed_run_says_why(installation, app):
    store, _ = installation
    reason = "The data set cifar10 could not be fetched: no network."
    run_id = add_run(store, compare_spec(samples=10), "pair", "failed", reason=reason)
    app.query_params[keys.RUN] = run_id
    app.run()
    assert app.error[0].value == reason
    assert not app.exception


def test_a_result_under_other_networks_says_whose_it_is(installation, app):
    app.run()
    assert "Below is still" not in words(app)
    app.selectbox(key=keys.SOURCE).set_value(STATE).run()
    assert not app.exception
    assert "Below is still **" in words(app)
    assert "networks compute the same function as B" not in words(app)


def test_data_that_does_not_fit_disables_run_and_says_why(installation, app):
    app.run()
    app.selectbox(key=keys.DATA).set_value("cifar10").run()
    assert run_button(app).disabled
    assert "CIFAR-10 has images of 3 × 32 × 32; this network takes 784. Choose" in words(app)
    app.selectbox(key=keys.DATA).set_value("modular-addition").run()
    assert "This network takes numbers such as images; Modular addition" in words(app)
    assert app.text_input(key=keys.MEAN).disabled


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("a, b", "Mean: 'a, b' is no list of numbers; write them with commas"),
        ("0.1, 0.2", "has 1 channels"),
    ],
)
def test_a_bad_normalisation_is_named(installation, app, value, sentence):
    app.run()
    app.text_input(key=keys.MEAN).set_value(value).run()
    assert run_button(app).disabled
    assert sentence in words(app)


def test_a_new_data_set_brings_its_own_normalisation(installation, app):
    app.run()
    app.selectbox(key=keys.DATA).set_value("cifar10").run()
    assert app.text_input(key=keys.MEAN).value == "0.485, 0.456, 0.406"


def test_without_a_builtin_pair_it_says_what_to_do(bare, app):
    app.run()
    assert not app.exception
    assert "Choose two networks" in app.info[0].value
    assert run_button(app).disabled
    assert "Choose both networks first." in words(app)
