"""Explore's choices: uploads, pairs that fit or not, the Hub, server files, data of one's own."""

from __future__ import annotations

import io
import json

import numpy as np

from engine.runs import IngestSpec, PairSpec
from pages.ui import keys
from pages.ui.literal import literal
from pages.ui.ways import CONFIG, EXPORTED, STATE
from tests.pages.inspected import add_answer
from tests.pages.reading import address, run_button, words
from tests.pages.stored import A, add_run, compare_spec, write_checkpoint


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
    app.selectbox(key=keys.SOURCE).set_value(STATE).run()
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


def stored_unknown(store):
    """Store weights that nothing recognises (c) and a `.pt2` of the same tensors (d)."""
    shelf, problem = store.shelf, "b.pt: No known family fits"
    write_checkpoint(
        shelf.checkpoint_file("c" * 64), "c" * 64, "b.pt", recognition=None, problem=problem
    )
    write_checkpoint(shelf.checkpoint_file("d" * 64), "d" * 64, "a.pt2", format="pt2", graph=True)


def test_weights_that_came_before_their_pt2_wait_for_it(installation, app):
    store, _ = installation
    stored_unknown(store)
    app.run()
    app.selectbox(key=keys.SOURCE).set_value(EXPORTED).run()
    upload(app, "b", b"two", "b.pt").run()
    add_answer(
        store, IngestSpec(upload=store.shelf.save_upload(b"two"), name="b.pt"), {"sha256": "c" * 64}
    )
    app.run()
    assert literal("b.pt: No known family fits") in app.sidebar.warning[0].value
    assert "choose the .pt2 that it belongs to as A" in app.sidebar.warning[0].value
    assert run_button(app).disabled
    upload(app, "a", b"one", "a.pt2").run()
    add_answer(
        store,
        IngestSpec(upload=store.shelf.save_upload(b"one"), name="a.pt2"),
        {"sha256": "d" * 64},
    )
    app.run()
    pair = PairSpec(a="d" * 64, b="c" * 64)
    model = {"title": "your model (.pt2)", "input_shape": [784], "classes": 10, "parameters": 3}
    add_answer(store, pair, {"fits": True, "message": None, "same": False, "model": model})
    app.run()
    assert not app.exception
    assert not app.sidebar.warning
    assert "as a.pt2 says: your model (.pt2)" in words(app)
    assert not run_button(app).disabled


def test_the_pairs_own_architecture_is_what_data_must_fit(installation, app):
    store, _ = installation
    stored_unknown(store)
    spec = compare_spec(samples=10).model_copy(update={"a": "c" * 64, "b": "d" * 64})
    app.query_params[keys.RUN] = add_run(store, spec, "pair", "failed", reason="no")
    model = {"title": "your model (.pt2)", "input_shape": [12], "classes": 4, "parameters": 3}
    found = {"fits": True, "message": None, "same": False, "model": model}
    add_answer(store, PairSpec(a="c" * 64, b="d" * 64), found)
    app.run()
    assert not app.exception
    assert "this network takes 12." in words(app)


def test_a_config_beside_the_weights_is_uploaded_with_them(installation, app):
    store, _ = installation
    app.run()
    app.selectbox(key=keys.SOURCE).set_value(CONFIG).run()
    files = [("model.safetensors", b"w", ""), ("config.json", b"{}", "")]
    app.file_uploader(key=keys.FILES["a"]).set_value(files).run()
    assert not app.exception
    (status,) = store.list("ingest-files")
    assert [file.name for file in store.spec(status.run_id).files] == [
        "config.json",
        "model.safetensors",
    ]


def test_two_files_of_one_name_are_refused_in_a_sentence(installation, app):
    app.run()
    app.selectbox(key=keys.SOURCE).set_value(CONFIG).run()
    app.file_uploader(key=keys.FILES["a"]).set_value([("w.pt", b"1", ""), ("w.pt", b"2", "")]).run()
    assert not app.exception
    assert "two files are called" in app.sidebar.error[0].value


def test_networks_of_ones_own_start_from_the_defaults(installation, app):
    app.run()
    shown = (app.checkbox(key=keys.ALL_SAMPLES).value, app.selectbox(key=keys.PLANE_POINTS).value)
    app.number_input(key=keys.SEED).set_value(9)
    app.selectbox(key=keys.SOURCE).set_value(STATE).run()
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
    app.selectbox(key=keys.SOURCE).set_value(STATE).run()
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
