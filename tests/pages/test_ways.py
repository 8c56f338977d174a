"""The ways to bring a network: a section for each, and several files that are one network."""

from __future__ import annotations

import pytest

from engine.runs import IngestFilesSpec
from pages.ui import keys, ways
from pages.ui.ways import CONFIG, HUB, UPLOADS, WAYS
from tests.pages.reading import words


@pytest.fixture
def page(installation, app):
    app.run()
    app.switch_page("pages/inspect.py").run()
    return app


@pytest.fixture
def store(installation):
    return installation[0]


def asked(store, kind):
    return store.spec(next(run.run_id for run in store.list(kind)))


def test_weights_and_their_config_are_one_network(page, store):
    page.selectbox(key=keys.ONE_SOURCE).select(CONFIG).run()
    assert "#### Weights with config.json" in words(page)
    files = [("config.json", b"{}", ""), ("model.safetensors", b"w", "")]
    page.file_uploader(key=keys.FILES["one"]).set_value(files).run()
    assert not page.exception
    whole, headers = asked(store, "ingest-files"), asked(store, "headers-files")
    assert isinstance(whole, IngestFilesSpec)
    assert whole.files == headers.files
    assert [file.name for file in whole.files] == ["config.json", "model.safetensors"]
    assert store.shelf.upload_path(whole.files[1].upload).read_bytes() == b"w"
    (status,) = store.list("ingest-files")
    assert status.title == "Read model.safetensors, config.json"


@pytest.mark.parametrize("way", list(WAYS))
def test_every_way_in_has_its_section(page, store, way):
    page.selectbox(key=keys.ONE_SOURCE).select(way).run()
    assert not page.exception
    assert f"#### {WAYS[way].title}" in words(page)
    assert WAYS[way].takes in words(page)
    uploads = page.file_uploader
    assert len(uploads) == (way in UPLOADS)


def test_what_the_server_lacks_is_said(page, store, monkeypatch):
    monkeypatch.setattr(ways, "find_spec", lambda name: None)
    monkeypatch.setenv("HF_TOKEN", "secret")
    page.selectbox(key=keys.ONE_SOURCE).select(CONFIG).run()
    assert "pip install -r requirements-transformers.txt" in page.sidebar.warning[0].value
    page.selectbox(key=keys.ONE_SOURCE).select(HUB).run()
    assert "HF_TOKEN is not set" not in words(page)
    monkeypatch.delenv("HF_TOKEN")
    page.run()
    assert "HF_TOKEN is not set: public repositories only." in words(page)
