"""Fetching parquet files with the real Hub client, from a server of the test's own."""

from __future__ import annotations

import json

import numpy as np
import pytest

from engine.data.catalogue import DATASETS
from engine.data.hub import Pin, file_name, find_parquet, pinned
from engine.data.load import load_dataset, read_named
from engine.errors import CancelledError, DataError
from engine.home import home
from tests.data.images import write_mirror
from tests.hub_server import HubServer, Repo

INFO = DATASETS["fashion-mnist"]
MNIST = DATASETS["mnist-full"]


def repo_of(folder, info=INFO, **options) -> Repo:
    files = {
        file_name(info, split): (folder / info.repo / file_name(info, split)).read_bytes()
        for split in info.splits
    }
    return Repo(files, kind="datasets", **options)


@pytest.fixture
def pixels(tmp_path):
    return write_mirror(tmp_path / "origin", INFO)


@pytest.fixture
def hub(tmp_path, pixels):
    with HubServer({INFO.repo: repo_of(tmp_path / "origin")}) as server:
        yield server


def test_a_split_is_fetched_at_its_commit_with_progress(hub, pixels):
    seen = []
    path, sha256 = find_parquet(
        INFO, "test", endpoint=hub.url, progress=lambda *state: seen.append(state)
    )
    repo = hub.repos[INFO.repo]
    size = len(repo.files[file_name(INFO, "test")])
    assert path.stat().st_size == size
    assert seen[-1] == ("download", size, size)
    assert pinned(INFO, "test") == Pin(repo.commit, sha256)
    assert all(f"/resolve/{repo.commit}/" in each for each in hub.downloads())
    assert path.resolve().is_relative_to(home())
    assert np.array_equal(read_named("fashion-mnist", "test").inputs.numpy(), pixels["test"])


def test_no_token_is_sent_unless_given(hub):
    find_parquet(INFO, "test", endpoint=hub.url)
    assert not any("Authorization" in headers for _, _, headers in hub.requests)


def test_what_was_fetched_once_stays_and_needs_no_network(hub, pixels, tmp_path):
    find_parquet(INFO, "test", endpoint=hub.url)
    asked = len(hub.requests)
    first = load_dataset("fashion-mnist", "test")
    write_mirror(tmp_path / "newer", INFO, 5)
    hub.repos[INFO.repo] = repo_of(tmp_path / "newer")
    find_parquet(INFO, "test", endpoint=hub.url)
    assert load_dataset("fashion-mnist", "test").sha256 == first.sha256
    assert len(hub.requests) == asked
    assert len(first) == len(pixels["test"])


def test_a_changed_file_is_noticed(hub):
    path, _ = find_parquet(INFO, "test", endpoint=hub.url)
    path.resolve().write_bytes(b"other")
    with pytest.raises(DataError, match="not the one that was fetched first; delete"):
        find_parquet(INFO, "test", endpoint=hub.url)


def test_a_damaged_pin_is_as_none(hub):
    find_parquet(INFO, "test", endpoint=hub.url)
    pin = home() / "hub" / "pins" / INFO.repo / "test.json"
    pin.write_text(json.dumps({"what": 1}))
    assert pinned(INFO, "test") is None


def test_a_mirror_ignores_pins(hub, tmp_path, monkeypatch):
    find_parquet(INFO, "test", endpoint=hub.url)
    monkeypatch.setenv("BASINSCOPE_HUB_MIRROR", str(tmp_path / "empty"))
    assert pinned(INFO, "test") is None


def test_a_gated_set_is_opened_by_a_token(tmp_path, pixels):
    gated = repo_of(tmp_path / "origin", gated=True, token="secret")
    with HubServer({INFO.repo: gated}) as hub:
        with pytest.raises(DataError, match=r"is gated on the Hub .*accept its terms"):
            find_parquet(INFO, "test", endpoint=hub.url)
        path, _ = find_parquet(INFO, "test", endpoint=hub.url, token="secret")
    assert path.is_file()


def test_progress_may_cancel(hub):
    def cancel(stage, done, total):
        raise CancelledError("stop")

    with pytest.raises(CancelledError, match="stop"):
        find_parquet(INFO, "test", endpoint=hub.url, progress=cancel)


def test_an_unknown_or_private_repository(tmp_path, pixels):
    with HubServer({}) as hub, pytest.raises(DataError, match="not on the Hub under zalando"):
        find_parquet(INFO, "test", endpoint=hub.url)


def test_a_missing_file(hub):
    repo = hub.repos[INFO.repo]
    hub.repos[INFO.repo] = Repo(
        {"README.md": b"", **dict(list(repo.files.items())[:1])}, "datasets"
    )
    with pytest.raises(DataError, match="has no such file on the Hub"):
        find_parquet(INFO, "test", endpoint=hub.url)


def test_a_commit_that_is_gone(hub):
    find_parquet(INFO, "train", endpoint=hub.url)
    pins = home() / "hub" / "pins" / INFO.repo
    (pins / "test.json").write_text(json.dumps({"revision": "a" * 40, "sha256": ""}))
    with pytest.raises(DataError, match="no longer on the Hub at the revision fetched before"):
        find_parquet(INFO, "test", endpoint=hub.url)


def test_a_failing_hub(hub):
    hub.repos[INFO.repo].status = 418
    with pytest.raises(DataError, match=r"the Hub refused or failed\. Connect to the network"):
        find_parquet(INFO, "test", endpoint=hub.url)


def test_no_hub_names_the_way_out():
    with HubServer({}) as closed:
        address = closed.url
    with pytest.raises(DataError, match=r"cannot be reached .*'mnist'.*HUB_MIRROR to a"):
        find_parquet(MNIST, "test", endpoint=address)


def test_the_client_may_be_set_offline(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(DataError, match=r"Hub client is set to stay offline\. Connect"):
        find_parquet(MNIST, "test")


def test_a_file_that_is_not_here_and_cannot_be_asked_for(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    pins = home() / "hub" / "pins" / MNIST.repo
    pins.mkdir(parents=True)
    (pins / "test.json").write_text(json.dumps({"revision": "a" * 40, "sha256": ""}))
    with pytest.raises(DataError, match="not on this machine, and the Hub cannot be reached"):
        find_parquet(MNIST, "test")
