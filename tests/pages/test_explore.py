"""Explore: the built-in run, links, settings, a run from start to end, every kind of failure."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest

from engine.errors import RunError
from engine.runs import IngestSpec, PairSpec
from pages.ui import keys
from pages.ui.literal import literal
from tests.pages.stored import A, B, add_run, compare_spec, write_checkpoint, write_run, write_tile


def words(app):
    """Everything that is written on the page, as one text."""
    parts = [*app.main, *app.sidebar]
    found = []

    def collect(element):
        for name in ("value", "label", "body"):
            text = getattr(element, name, None)
            if isinstance(text, str):
                found.append(text)
        if hasattr(element, "children"):
            for child in element.children.values():
                collect(child)
        proto = getattr(element, "proto", None)
        if type(element).__name__ == "UnknownElement" and hasattr(proto, "body"):
            found.append(proto.body)

    for part in parts:
        collect(part)
    return "\n".join(found)


def charts(app):
    """The Plotly figures on the page."""
    return [json.loads(chart.proto.spec) for chart in app.get("plotly_chart")]


def address(app):
    """The run that the address names."""
    value = app.query_params[keys.RUN]
    return value[0] if isinstance(value, list) else value


def run_button(app):
    return app.button(key=keys.START)


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
    app.selectbox(key=keys.SOURCE).set_value("upload").run()
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
    [("a, b", "Mean: write numbers with commas"), ("0.1, 0.2", "has 1 channels")],
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


def upload(app, side, content=b"raw", name="net.pt"):
    app.get("file_uploader")
    file = io.BytesIO(content)
    return app.file_uploader(key=keys.FILE[side]).set_value((name, file.getvalue(), ""))


def answered(store, sha256, upload_bytes, name):
    """Answer the ingest run of an upload as a worker would."""
    spec = IngestSpec(upload=store.shelf.save_upload(upload_bytes), name=name)
    write_checkpoint(store.shelf.checkpoint_file(sha256), sha256, name)
    store.index.claim("files", 1)
    folder = store.run_folder(spec.run_id)
    np.savez(folder / "result.npz", summary=np.array(json.dumps({"sha256": sha256})))
    store.index.finish(spec.run_id, "running", "done")


def test_two_uploads_are_read_checked_and_compared(installation, app, executor):
    store, _ = installation
    app.run()
    app.selectbox(key=keys.SOURCE).set_value("upload").run()
    upload(app, "a", b"one", "one.pt").run()
    assert "Read one.pt" in {status.title for status in store.list("ingest")}
    assert run_button(app).disabled
    answered(store, "c" * 64, b"one", "one.pt")
    upload(app, "b", b"two", "two.pt").run()
    answered(store, "d" * 64, b"two", "two.pt")
    app.run()
    pair = PairSpec(a="c" * 64, b="d" * 64)
    assert store.status(pair.run_id).state == "queued"
    store.index.claim("files", 1)
    fits = {"fits": True, "message": None, "same": False}
    np.savez(store.run_folder(pair.run_id) / "result.npz", summary=np.array(json.dumps(fits)))
    store.index.finish(pair.run_id, "running", "done")
    app.run()
    assert not app.exception
    assert "one.pt" in words(app)
    assert "the pair fits: 8 tensors" in words(app)
    run_button(app).click().run()
    spec = store.spec(address(app))
    assert (spec.a, spec.b) == ("c" * 64, "d" * 64)


def test_networks_of_ones_own_start_from_the_defaults(installation, app):
    app.run()
    shown = (app.checkbox(key=keys.ALL_SAMPLES).value, app.selectbox(key=keys.PLANE_POINTS).value)
    app.number_input(key=keys.SEED).set_value(9)
    app.selectbox(key=keys.SOURCE).set_value("upload").run()
    assert app.checkbox(key=keys.ALL_SAMPLES).value is False
    assert app.number_input(key=keys.SAMPLES).value == 2000
    assert app.selectbox(key=keys.PLANE_POINTS).value == 25
    assert app.number_input(key=keys.SEED).value == 0
    app.selectbox(key=keys.SOURCE).set_value("builtin").run()
    again = (app.checkbox(key=keys.ALL_SAMPLES).value, app.selectbox(key=keys.PLANE_POINTS).value)
    assert again == shown


def test_a_wrong_file_shows_the_workers_message(installation, app):
    store, _ = installation
    app.run()
    app.selectbox(key=keys.SOURCE).set_value("upload").run()
    upload(app, "a", b"text", "notes.txt").run()
    (status,) = store.list("ingest")
    store.index.claim("files", 1)
    store.index.finish(status.run_id, "running", "failed", "notes.txt is no checkpoint.")
    app.run()
    assert app.sidebar.error[0].value == "**A** notes.txt is no checkpoint."
    assert run_button(app).disabled


def test_a_pair_that_does_not_fit_says_why(installation, app):
    store, _ = installation
    write_checkpoint(store.shelf.checkpoint_file("c" * 64), "c" * 64, "small")
    spec = compare_spec(samples=10).model_copy(update={"b": "c" * 64})
    run_id = add_run(store, spec, "pair", "failed", reason="no")
    pair = PairSpec(a=A, b="c" * 64)
    store.submit(pair, "pair")
    store.index.claim("files", 1)
    message = "0.weight is [4, 3] in A and [5, 3] in B."
    summary = json.dumps({"fits": False, "message": message, "same": False})
    np.savez(store.run_folder(pair.run_id) / "result.npz", summary=np.array(summary))
    store.index.finish(pair.run_id, "running", "done")
    app.query_params[keys.RUN] = run_id
    app.run()
    assert literal(message) in app.sidebar.error[0].value
    assert "do not fit together" in words(app)


def test_hub_names_are_asked_only_on_fetch(installation, app):
    store, _ = installation
    app.run()
    app.selectbox(key=keys.SOURCE).set_value("hub").run()
    assert app.button(key=keys.READ_FILES).disabled
    app.text_input(key=keys.HUB["a"]).set_value("org/a")
    app.text_input(key=keys.HUB["b"]).set_value("org/b:model.safetensors").run()
    assert not store.list("ingest")
    app.button(key=keys.READ_FILES).click().run()
    assert not app.exception
    assert {store.spec(s.run_id).hub for s in store.list("ingest")} == {
        "org/a",
        "org/b:model.safetensors",
    }


def test_server_files_come_from_one_folder_only(installation, app, tmp_path, monkeypatch):
    store, _ = installation
    app.run()
    app.selectbox(key=keys.SOURCE).set_value("server").run()
    assert "There is no checkpoint in" in app.sidebar.info[0].value
    folder = tmp_path / "shared"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "a.pt").write_bytes(b"a")
    (folder / "readme.md").write_text("no")
    (tmp_path / "secret.pt").write_bytes(b"s")
    (folder / "link.pt").symlink_to(tmp_path / "secret.pt")
    monkeypatch.setenv("BASINSCOPE_FILES", str(folder))
    app.run()
    box = app.selectbox(key=keys.SERVER["a"])
    assert box.options == ["deep/a.pt"]
    box.set_value("deep/a.pt").run()
    assert not app.exception
    (status,) = store.list("ingest")
    assert store.spec(status.run_id).path == str(folder / "deep" / "a.pt")


def test_a_home_that_cannot_be_used_says_so(app, tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("BASINSCOPE_HOME", str(blocked / "home"))
    app.run()
    assert not app.exception
    assert "set BASINSCOPE_HOME to a folder" in app.error[0].value


def test_an_uploaded_data_set_is_read_and_used(installation, app):
    store, _ = installation
    app.run()
    app.selectbox(key=keys.DATA).set_value("uploaded").run()
    assert "Upload a data set" in words(app)
    assert run_button(app).disabled
    app.file_uploader(key=keys.DATA_FILE).set_value(("mine.npz", b"data", "")).run()
    (status,) = store.list("ingest-data")
    sha256 = store.spec(status.run_id).upload
    store.index.claim("files", 1)
    summary = np.array(json.dumps({"sha256": sha256, "name": "mine.npz"}))
    np.savez(store.run_folder(status.run_id) / "result.npz", summary=summary)
    store.shelf.data_file(sha256, "npz").parent.mkdir(parents=True, exist_ok=True)
    store.shelf.data_file(sha256, "npz").write_bytes(b"data")
    store.index.finish(status.run_id, "running", "done")
    app.run()
    assert not app.exception
    run_button(app).click().run()
    spec = store.spec(address(app))
    assert (spec.data.name, spec.data.sha256) == ("mine.npz", sha256)
    app.run()
    assert app.selectbox(key=keys.DATA).value == "uploaded"
