"""A choice of many networks: what is brought, what does not fit, what is there already."""

from __future__ import annotations

import json

import numpy as np
import pytest

from engine.runs import IngestSpec
from pages.ui import keys
from pages.ui.many_models import misfit
from tests.pages.reading import words
from tests.pages.stored import A, B, write_checkpoint

C, D = "c" * 64, "d" * 64


def listed(**shapes: list[int]) -> dict:
    """Return what a description says of all tensors."""
    tensors = [{"name": n, "shape": s, "dtype": "float32"} for n, s in shapes.items()]
    return {"tensors": tensors, "tensor_count": len(tensors)}


@pytest.fixture
def shelf(installation):
    store, _ = installation
    kinds = {
        C: ("small.pt", listed(w=[4, 3], b=[4], n_num_batches_tracked=[])),
        D: ("wide.pt", listed(w=[5, 3], b=[5])),
        "e" * 64: ("deep.pt", listed(w=[4, 3], b=[4], v=[2, 4])),
        "f" * 64: ("older.pt", listed(w=[4, 3], b=[4])),
    }
    for sha256, (name, description) in kinds.items():
        write_checkpoint(store.shelf.checkpoint_file(sha256), sha256, name, **description)
    return store.shelf


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ((C, "f" * 64), None),  # a step counter less
        ((C, D), "w is 5×3 in wide.pt but 4×3 in small.pt: choose networks of one architecture."),
        ((C, "e" * 64), "v is 2×4 in deep.pt but missing in small.pt: choose networks of one"),
        (("e" * 64, C), "v is missing in small.pt but 2×4 in deep.pt: choose networks of one"),
        ((A, D), None),  # of A not every tensor is listed: the worker will tell
        ((C,), None),
        ((), None),
    ],
)
def test_another_architecture_is_named_at_once(shelf, chosen, message):
    found = misfit([shelf.checkpoint(sha256) for sha256 in chosen])
    assert (found is None) if message is None else str(found).startswith(message)


@pytest.mark.parametrize("page", ["merge", "planes"])
def test_networks_that_do_not_fit_cannot_be_asked(shelf, app, page):
    app.run()
    app.switch_page(f"pages/{page}.py").run()
    models, start = {
        "merge": (keys.MERGE_MODELS, keys.MERGE_START),
        "planes": (keys.PLANES_MODELS, keys.PLANES_START),
    }[page]
    if page == "planes":
        app.selectbox(key=keys.PLANES_KIND).select("three").run()
    app.multiselect(key=models).set_value([C, D, "f" * 64]).run()
    assert not app.exception
    assert app.button(key=start).disabled
    assert "w is 5×3 in wide.pt but 4×3 in small.pt" in words(app)


def answered(store, content: bytes, name: str, sha256: str | None, reason: str | None = None):
    """Answer the reading of an upload as its worker would."""
    spec = IngestSpec(upload=store.shelf.save_upload(content), name=name)
    store.index.claim("files", 1)
    if reason is None:
        folder = store.run_folder(spec.run_id)
        np.savez(folder / "result.npz", summary=np.array(json.dumps({"sha256": sha256})))
    store.index.finish(spec.run_id, "running", "done" if reason is None else "failed", reason)


def test_files_are_chosen_once_and_refusals_go_with_their_files(installation, app):
    store, _ = installation
    app.run()
    app.switch_page("pages/merge.py").run()
    files = [("again.pt", b"one", ""), ("bad.pt", b"two", "")]
    app.file_uploader(key=keys.MERGE_FILES).set_value(files).run()
    answered(store, b"one", "again.pt", B)
    answered(store, b"two", "bad.pt", None, "bad.pt holds values that are no numbers.")
    app.run()
    assert not app.exception
    assert app.multiselect(key=keys.MERGE_MODELS).value == [A, B]
    text = words(app)
    assert "again.pt is the same network as mnist-mlp, seed 1, which is chosen once." in text
    assert "bad.pt holds values" in text
    assert "**bad.pt**" not in text
    app.file_uploader(key=keys.MERGE_FILES).set_value(files[:1]).run()
    assert "bad.pt holds values" not in words(app)
