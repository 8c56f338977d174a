"""A `.pt2` through the worker: uploaded, stored with its graph, paired and compared."""

from __future__ import annotations

import io

import pytest
import torch
from torch import nn

from engine.errors import RunError
from engine.runs import CompareSpec, DataSpec, PairSpec, Store
from engine.runs.stored import load_stored
from engine.runs.worker import Worker
from tests.program.exported_files import Small, exported_bytes, small
from tests.runs.files_of_users import bring, bring_data, data_set, saved, serve_files


class Unknown(nn.Module):
    """A network that no family recognises, on twelve features."""

    def __init__(self, activation: type[nn.Module] = nn.GELU) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(12, 6), nn.Linear(12, 6, bias=False)
        self.act, self.last = activation(), nn.Linear(6, 4)

    def forward(self, x):
        return self.last(self.act(self.left(x)) * torch.tanh(self.right(x)))


def unknown(seed: int, activation: type[nn.Module] = nn.GELU) -> Unknown:
    torch.manual_seed(seed)
    return Unknown(activation).eval()


def pt2(seed: int, activation: type[nn.Module] = nn.GELU) -> bytes:
    return exported_bytes(unknown(seed, activation), torch.zeros(2, 12))


def summary(store: Store, run_id: str) -> dict:
    assert store.status(run_id).reason is None
    return dict(store.result(run_id).summary)


def test_an_upload_is_described_and_stored_with_its_graph(store: Store) -> None:
    content = exported_bytes(small(), torch.zeros(2, 6))
    found = summary(store, bring(store, content, "mine.pt2"))
    assert (found["name"], found["format"], found["graph"]) == ("mine.pt2", "pt2", True)
    recognition = found["recognition"]
    assert recognition["title"] == "your model (.pt2), inputs [6]"
    assert (recognition["input_shape"], recognition["classes"]) == ([6], 3)
    assert recognition["parameters"] == sum(p.numel() for p in Small().parameters())
    loaded = load_stored(store.shelf, found["sha256"])
    assert loaded.sha256 == found["sha256"]
    assert torch.equal(loaded.tensors["leave.bias"], small().leave.bias)
    graph = store.shelf.graph_file(found["sha256"])
    assert loaded.graph == graph.read_bytes()
    graph.write_bytes(graph.read_bytes().replace(b"tanh", b"sinh"))
    with pytest.raises(RunError, match=r"stored checkpoint mine\.pt2 has changed"):
        load_stored(store.shelf, found["sha256"])
    graph.unlink()
    with pytest.raises(RunError, match=r"stored checkpoint mine\.pt2 is damaged"):
        load_stored(store.shelf, found["sha256"])


def test_a_deleted_checkpoint_takes_its_graph_along(store: Store) -> None:
    sha256 = summary(store, bring(store, pt2(0), "a.pt2"))["sha256"]
    store.shelf.delete_checkpoint(sha256)
    assert list((store.home / "checkpoints").iterdir()) == []


def test_a_refused_pt2_says_why(store: Store) -> None:
    batch_of_two = io.BytesIO()
    with torch.no_grad():
        torch.export.save(torch.export.export(unknown(0), (torch.zeros(2, 12),)), batch_of_two)
    status = store.status(bring(store, batch_of_two.getvalue(), "mine.pt2"))
    assert status.state == "failed"
    assert "mine.pt2: its batch is fixed at 2 samples (input x); export it" in str(status.reason)
    assert list((store.home / "uploads").iterdir()) == []
    assert store.shelf.checkpoints() == ()


def test_weights_that_came_before_their_graph_take_it_without_another_upload(store: Store) -> None:
    b = summary(store, bring(store, saved(unknown(1).state_dict()), "b.pt"))
    assert b["recognition"] is None
    assert "No known family fits" in b["problem"]
    a = summary(store, bring(store, pt2(0), "a.pt2"))
    for ends in ((a, b), (b, a)):
        run_id = store.submit(PairSpec(a=ends[0]["sha256"], b=ends[1]["sha256"]))
        serve_files(store)
        assert summary(store, run_id)["fits"] is True
        assert summary(store, run_id)["model"]["title"] == "your model (.pt2), inputs [12]"
    again = summary(store, bring(store, saved(unknown(1).state_dict()), "known.pt"))
    assert again["sha256"] == b["sha256"]
    described = store.shelf.checkpoint(b["sha256"]).description
    assert described["recognition"]["family"] == "exported", "what is known now is written down"


def test_weights_alone_are_known_by_a_graph_that_came_before(store: Store) -> None:
    a = summary(store, bring(store, pt2(0), "a.pt2"))
    b = summary(store, bring(store, saved(unknown(1).state_dict()), "again.pt"))
    assert b["graph"] is False
    assert b["recognition"]["evidence"] == [
        "It has the tensors of a.pt2, whose graph is used where the two are compared."
    ]
    for ends in ((a, b), (b, a)):
        run_id = store.submit(PairSpec(a=ends[0]["sha256"], b=ends[1]["sha256"]))
        serve_files(store)
        assert summary(store, run_id)["fits"] is True
        assert summary(store, run_id)["model"]["family"] == "exported"


def test_two_graphs_of_different_functions_do_not_fit(store: Store) -> None:
    found = [
        summary(store, bring(store, content, name))["sha256"]
        for content, name in (
            (pt2(0), "a.pt2"),
            (pt2(1), "b.pt2"),
            (pt2(0, nn.ReLU), "relu.pt2"),
        )
    ]
    assert len(set(found)) == 3, "the graph belongs to the content"
    runs = [store.submit(PairSpec(a=found[0], b=other)) for other in found[1:]]
    serve_files(store)
    assert summary(store, runs[0])["fits"] is True
    other = summary(store, runs[1])
    assert other["fits"] is False
    assert "a.pt2 and relu.pt2 have the same tensors, but their graphs" in other["message"]


def test_two_pt2_are_compared_by_the_worker(store: Store) -> None:
    a, b = (summary(store, bring(store, pt2(seed), f"{seed}.pt2"))["sha256"] for seed in (0, 1))
    sha256 = summary(store, bring_data(store, data_set(), "data.npz"))["sha256"]
    data = DataSpec(name="data.npz", sha256=sha256, samples=40)
    run_id = store.submit(CompareSpec(a=a, b=b, data=data, line_points=3, plane_points=0))
    assert Worker(store, "compute", "engine.runs.jobs").serve(once=True) == 0
    found = summary(store, run_id)
    assert found["model"]["family"] == "exported"
    assert found["proof"]["passed"] is True
    assert [group["size"] for group in found["symmetry"]["groups"]] == [6]
