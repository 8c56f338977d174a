"""Merge, the page: its start, what can be asked and why not, a result, an end, a wrong link."""

from __future__ import annotations

import pytest

from engine.runs import DataSpec, MergeSpec
from engine.runs.context import JobResult
from pages.ui import keys
from tests.figures.test_merge import summary
from tests.pages.reading import address, charts, words
from tests.pages.stored import A, B, compare_spec

PAGE = "pages/merge.py"
SPEC = MergeSpec(models=(A, B), data=DataSpec(name="mnist"))


@pytest.fixture
def page(installation, app):
    store, _ = installation
    app.run()
    return store, app.switch_page(PAGE)


def answered(store, spec=SPEC):
    """Store a merge's answer as its worker would."""
    run_id = store.submit(spec, "two networks")
    store.index.claim(spec.lane, 1)
    alignment = {
        "title": "MergeMany",
        "rounds": 2,
        "trace": [1.0, 2.0, 2.0],
        "stop_sentence": "Nothing gains.",
    }
    found = {**summary(), "alignment": alignment, "file": "merged.pt", "repair": {"notes": ["A."]}}
    outcome = JobResult(
        summary=found,
        files={"merged.pt": lambda path: path.write_bytes(b"merged")},
        provenance={"alignment_seconds": 2.0},
    )
    store.save_result(run_id, outcome)
    store.index.finish(run_id, "running", "done")
    return run_id


def test_it_starts_on_the_built_in_pair_and_asks_for_it(page):
    store, app = page
    app.run()
    assert not app.exception
    assert app.multiselect(key=keys.MERGE_MODELS).value == [A, B]
    assert "Merge networks" in words(app)
    assert app.checkbox(key=keys.MERGE_REPAIR + "reset").disabled
    app.checkbox(key=keys.MERGE_REPAIR + "temperature").check().run()
    app.selectbox(key=keys.MERGE_METHOD).select("cycle-consistent").run()
    app.button(key=keys.MERGE_START).click().run()
    assert not app.exception
    spec = store.spec(address(app))
    assert (spec.models, spec.method, spec.repairs) == (
        (A, B),
        "cycle-consistent",
        ("temperature",),
    )
    assert store.status(address(app)).title == "mnist-mlp, seed 0 + mnist-mlp, seed 1"
    assert "The networks are being merged." in words(app)


def test_one_network_cannot_be_merged(page):
    _, app = page
    app.run()
    app.multiselect(key=keys.MERGE_MODELS).set_value([A]).run()
    assert app.button(key=keys.MERGE_START).disabled
    assert "Choose 2 to 64 networks." in words(app)
    app.multiselect(key=keys.MERGE_MODELS).set_value([A, B]).run()
    app.selectbox(key=keys.DATA).select("cifar10").run()
    assert app.button(key=keys.MERGE_START).disabled
    assert "this network takes 784" in words(app)


def test_a_result_is_drawn_with_its_download(page):
    store, app = page
    app.query_params[keys.RUN] = answered(store)
    app.run()
    assert not app.exception
    text = words(app)
    assert "2 networks merged into one: test loss .080" in text
    assert "2000 test samples is 8·10⁻⁶" in text
    assert "test calibration error" in text
    assert "MergeMany" in text
    assert len(charts(app)) == 2
    assert app.get("download_button")[0].proto.label == "Download merged.pt"


def test_earlier_merges_are_listed_here_and_among_the_runs(page):
    store, app = page
    answered(store)
    app.run()
    assert "Merged networks" in words(app)
    app.switch_page("pages/runs.py").run()
    assert not app.exception
    assert "two networks" in words(app)


def test_a_failed_merge_says_why_and_runs_again(page):
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
