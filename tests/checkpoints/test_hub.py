"""Fetching from a server that speaks the Hub's API, with the real client."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import save

from engine.checkpoints import Limits, fetch_checkpoint, fingerprint, load_checkpoint
from engine.errors import CancelledError, CheckpointError, HubError, LimitError
from tests.hub_server import HubServer, Repo

TENSORS = {"0.weight": torch.arange(6.0).reshape(2, 3), "0.bias": torch.ones(2)}
WEIGHTS = save(TENSORS)


@pytest.fixture
def hub():
    """A server with one repository of one weight file."""
    repo = Repo({"model.safetensors": WEIGHTS, "README.md": b"# net", "other.pt": b"?"})
    with HubServer({"org/net": repo}) as server:
        yield server


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    """The client sleeps a second before it resumes a download."""
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda seconds: None)


def fetch(hub, tmp_path, reference="org/net", **options):
    return fetch_checkpoint(reference, endpoint=hub.url, cache_dir=tmp_path / "hub", **options)


def test_the_preferred_file_is_fetched_at_its_commit(hub, tmp_path):
    seen = []
    checkpoint = fetch(hub, tmp_path, progress=lambda done, total: seen.append((done, total)))
    assert torch.equal(checkpoint.tensors["0.weight"], TENSORS["0.weight"])
    commit = hub.repos["org/net"].commit
    assert checkpoint.name == "org/net:model.safetensors"
    assert dict(checkpoint.origin) == {
        "repo": "org/net",
        "revision": commit,
        "file": "model.safetensors",
    }
    assert hub.downloads() == [f"/org/net/resolve/{commit}/model.safetensors"]
    assert seen[-1] == (len(WEIGHTS), len(WEIGHTS))
    assert all(done <= total for done, total in seen)


def test_a_second_fetch_downloads_nothing(hub, tmp_path):
    first = fetch(hub, tmp_path)
    again = fetch(hub, tmp_path)
    assert again.sha256 == first.sha256
    assert len(hub.downloads()) == 1


def test_a_pinned_file_in_the_cache_needs_no_server(hub, tmp_path):
    commit = hub.repos["org/net"].commit
    fetch(hub, tmp_path)
    asked = len(hub.requests)
    checkpoint = fetch(hub, tmp_path, f"org/net@{commit}:model.safetensors")
    assert checkpoint.origin["revision"] == commit
    assert len(hub.requests) == asked


def test_a_branch_is_resolved_and_downloads_land_in_the_home(hub, tmp_path):
    hub.repos["org/net"].branches["v1.0"] = "a" * 40
    checkpoint = fetch_checkpoint("org/net@v1.0", endpoint=hub.url)
    assert checkpoint.origin["revision"] == "a" * 40
    assert (tmp_path / "home" / "hub").is_dir()


def test_load_checkpoint_takes_a_reference_when_there_is_no_such_file(hub, tmp_path):
    checkpoint = load_checkpoint(
        "org/net:model.safetensors", endpoint=hub.url, cache_dir=tmp_path / "hub"
    )
    assert set(checkpoint.tensors) == set(TENSORS)


def test_the_only_weight_file_is_chosen(hub, tmp_path):
    hub.repos["org/net"].files = {"net/a.safetensors": WEIGHTS, "training_args.bin": b"?"}
    assert fetch(hub, tmp_path).origin["file"] == "net/a.safetensors"


def test_no_token_of_the_machine_is_sent_and_the_given_one_is(hub, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.utils._headers.get_token", lambda: "machine")
    fetch(hub, tmp_path)
    assert not [h for _, _, h in hub.requests if "authorization" in {k.lower() for k in h}]
    hub.requests.clear()
    fetch_checkpoint("org/net", endpoint=hub.url, token="mine", cache_dir=tmp_path / "other")
    sent = [{k.lower(): v for k, v in h.items()}["authorization"] for _, _, h in hub.requests]
    assert set(sent) == {"Bearer mine"}


def test_the_environments_token_is_passed_on_where_a_source_is_loaded(hub, tmp_path, monkeypatch):
    for value, expected in (("mine ", {"Bearer mine"}), ("", {None})):
        hub.requests.clear()
        monkeypatch.setenv("HF_TOKEN", value)
        load_checkpoint("org/net", endpoint=hub.url, cache_dir=tmp_path / f"cache{len(value)}")
        sent = [{k.lower(): v for k, v in h.items()} for _, _, h in hub.requests]
        assert {headers.get("authorization") for headers in sent} == expected


def test_a_gated_repository_says_so_and_opens_with_its_token(hub, tmp_path):
    hub.repos["org/net"].gated = True
    hub.repos["org/net"].token = "secret"
    with pytest.raises(HubError, match=r"org/net: the repository is gated; accept its terms"):
        fetch(hub, tmp_path)
    assert fetch(hub, tmp_path, token="secret").sha256


def test_a_private_or_unknown_repository(hub, tmp_path):
    with pytest.raises(HubError, match=r"org/none: there is no such repository, or it is private"):
        fetch(hub, tmp_path, "org/none")
    hub.repos["org/net"].private = True
    with pytest.raises(HubError, match="there is no such repository, or it is private"):
        fetch(hub, tmp_path)


def test_an_unknown_revision(hub, tmp_path):
    with pytest.raises(HubError, match=r"the repository has no revision 'v9'"):
        fetch(hub, tmp_path, "org/net@v9")


def test_an_unknown_file_lists_those_there(hub, tmp_path):
    with pytest.raises(HubError, match=r"no such file; it has model\.safetensors, README\.md"):
        fetch(hub, tmp_path, "org/net:nothing.pt")


def test_a_file_that_vanished_after_the_listing(hub, tmp_path, monkeypatch):
    info = type("Info", (), {"sha": hub.repos["org/net"].commit, "siblings": []})
    info.siblings = [type("File", (), {"rfilename": "gone.pt"})]
    monkeypatch.setattr("engine.checkpoints.hub.HfApi.model_info", lambda *a, **k: info)
    with pytest.raises(HubError, match="has no such file at this revision"):
        fetch(hub, tmp_path, "org/net:gone.pt")
    info.sha = None
    with pytest.raises(HubError, match="the Hub names no commit for this revision"):
        fetch(hub, tmp_path, "org/net:gone.pt")


def test_several_weight_files_are_listed(hub, tmp_path):
    hub.repos["org/net"].files = {"a.pt": b"?", "b.safetensors": WEIGHTS}
    with pytest.raises(HubError, match=r"several weight files; name one .*: a\.pt, b\.safetensors"):
        fetch(hub, tmp_path)


def test_a_repository_without_weights(hub, tmp_path):
    hub.repos["org/net"].files = {f"{i}.txt": b"?" for i in range(14)}
    with pytest.raises(HubError, match=r"it has no weight file; it has 0\.txt.* and 2 more"):
        fetch(hub, tmp_path)
    hub.repos["org/net"].files = {}
    with pytest.raises(HubError, match="it has no files at all"):
        fetch(hub, tmp_path)


def test_all_shards_of_an_index_are_fetched(hub, tmp_path):
    hub.repos["org/net"].files = {
        "one.safetensors": save({"w": torch.ones(2)}),
        "two.safetensors": save({"v": torch.zeros(3)}),
        "model.safetensors.index.json": json.dumps(
            {"weight_map": {"w": "one.safetensors", "v": "two.safetensors"}}
        ).encode(),
    }
    found = fetch(hub, tmp_path)
    assert set(found.tensors) == {"w", "v"}
    assert found.origin["file"] == "model.safetensors.index.json"
    assert found.notes == ("The weights were read from 2 shards.",)
    assert found.sha256 == fingerprint(found.tensors)


def test_pickled_shards_are_refused_by_name(hub, tmp_path):
    hub.repos["org/net"].files = {
        "pytorch_model-00001-of-00002.bin": WEIGHTS,
        "pytorch_model-00002-of-00002.bin": WEIGHTS,
        "pytorch_model.bin.index.json": b"{}",
    }
    with pytest.raises(HubError, match=r"sharded \(pytorch_model\.bin\.index\.json\) and pickled"):
        fetch(hub, tmp_path)


def test_a_config_comes_along_and_is_part_of_the_content(hub, tmp_path):
    bare = fetch(hub, tmp_path)
    files = dict(hub.repos["org/net"].files)
    hub.repos["org/net"].files = files | {"config.json": b'{"model_type": "gpt2", "n_head": 2}'}
    found = fetch(hub, tmp_path)
    assert bare.config is None
    assert dict(found.config) == {"model_type": "gpt2", "n_head": 2}
    assert found.sha256 == fingerprint(found.tensors, config=found.config) != bare.sha256
    asked = len(hub.requests)
    pinned = f"org/net@{found.origin['revision']}:model.safetensors"
    assert fetch(hub, tmp_path, pinned).sha256 == found.sha256
    assert len(hub.requests) == asked


def test_a_broken_config_is_named(hub, tmp_path):
    files = dict(hub.repos["org/net"].files)
    hub.repos["org/net"].files = files | {"config.json": b"{"}
    with pytest.raises(CheckpointError, match=r"org/net: config\.json: it is no valid JSON"):
        fetch(hub, tmp_path)


def test_a_file_above_the_limit_is_not_downloaded(hub, tmp_path):
    with pytest.raises(LimitError, match=r"it takes [\d,]+ bytes.*nothing was downloaded"):
        fetch(hub, tmp_path, limits=Limits(total_bytes=16))
    assert hub.downloads() == []


def test_a_size_that_is_not_said(hub, tmp_path, monkeypatch):
    real = __import__("huggingface_hub").hf_hub_download

    def unsized(*arguments, dry_run=False, **options):
        answer = real(*arguments, dry_run=dry_run, **options)
        answer.file_size = None
        return answer

    monkeypatch.setattr("engine.checkpoints.hub.hf_hub_download", unsized)
    with pytest.raises(HubError, match="does not say how large the file is"):
        fetch(hub, tmp_path)


def test_a_download_that_is_cut_off_is_resumed(hub, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 20)
    hub.repos["org/net"].truncated = 100
    assert fetch(hub, tmp_path).sha256
    ranges = [h.get("range", h.get("Range")) for m, p, h in hub.requests if m == "GET"]
    assert "bytes=100-" in ranges


def test_a_download_that_never_comes_is_an_error(hub, tmp_path):
    hub.repos["org/net"].truncated = 0
    with pytest.raises(HubError, match=r"the Hub cannot be reached|the download failed"):
        fetch(hub, tmp_path)


def test_a_download_of_another_size_than_announced(hub, tmp_path):
    hub.repos["org/net"].announced = len(WEIGHTS) + 5
    with pytest.raises(HubError, match=r"the download failed \(Consistency check failed"):
        fetch(hub, tmp_path)


def test_a_server_error(hub, tmp_path):
    hub.repos["org/net"].status = 418
    with pytest.raises(HubError, match="the Hub answered with error 418"):
        fetch(hub, tmp_path)


def test_no_server_at_all(tmp_path):
    with HubServer({}) as closed:
        url = closed.url
    with pytest.raises(HubError, match="org/net: the Hub cannot be reached"):
        fetch_checkpoint("org/net", endpoint=url, cache_dir=tmp_path / "hub")


def test_offline_mode_is_respected(hub, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(HubError, match="HF_HUB_OFFLINE is set"):
        fetch(hub, tmp_path)


def test_a_name_that_the_hub_does_not_allow(hub, tmp_path):
    with pytest.raises(HubError, match="no valid name on the Hub"):
        fetch(hub, tmp_path, "org/net--x")


def test_progress_may_cancel(hub, tmp_path):
    def stop(done, total):
        raise CancelledError("stopped")

    with pytest.raises(CancelledError, match="stopped"):
        fetch(hub, tmp_path, progress=stop)


def test_a_broken_file_keeps_its_own_message(hub, tmp_path):
    hub.repos["org/net"].files = {"model.safetensors": b"<!DOCTYPE html><title>x</title>"}
    with pytest.raises(CheckpointError, match=r"org/net:model\.safetensors: it is a web page"):
        fetch(hub, tmp_path)


def test_neither_a_file_nor_a_reference(tmp_path):
    for missing in ("nothing", "nothing.pt", "weights/a.pt", "./org/name", "/org/name", "a/b/c"):
        with pytest.raises(CheckpointError, match=rf"^there is no file '{missing}' here$"):
            load_checkpoint(missing)
    with pytest.raises(HubError, match=r"^there is no file 'org/na me' here, and .*write org/name"):
        load_checkpoint("org/na me")
    with pytest.raises(CheckpointError, match="there is no such file"):
        load_checkpoint(tmp_path / "a.pt")
