"""Methods on Explore: choice, run, progress, result, permalink, and in the list of runs."""

from __future__ import annotations

import json

import pytest

from engine.matching.methods import METHODS
from engine.runs.context import JobResult
from engine.runs.methods_spec import MethodSpec, MethodsSpec
from pages.ui import keys
from pages.ui.methods_words import NO_GROUPS, SENTENCES, method_obstacle, repair_obstacle
from tests.figures.methods_synthetic import PROVENANCE, synthetic_methods
from tests.pages.reading import address, charts, words
from tests.pages.stored import A, B, compare_spec

TITLE = "Methods: mnist-mlp, seed 0 → mnist-mlp, seed 1"


def methods_spec(*chosen: str, **data) -> MethodsSpec:
    keys_of = chosen or ("weight", "activation")
    return MethodsSpec(
        a=A,
        b=B,
        data=compare_spec(samples=200, **data).data,
        methods=tuple(MethodSpec(key=key) for key in keys_of),
        repairs=("repair",),
    )


def add_methods(store, spec=None, state: str = "done", **more) -> str:
    """Put a methods run into the store in the given state."""
    spec = spec or methods_spec()
    run_id = store.submit(spec, TITLE)
    if state == "queued":
        return run_id
    store.index.claim("compute", 1)
    if state == "done":
        arrays, summary = synthetic_methods(**more)
        store.save_result(run_id, JobResult(summary, arrays, provenance=PROVENANCE))
    if state != "running":
        store.index.finish(run_id, "running", state, more.get("reason"))
    return run_id


def methods_chart(app):
    return [f for f in charts(app) if any(t.get("name") == "weight matching" for t in f["data"])]


def test_ticks_make_a_run_that_is_followed_in_place(installation, app, executor):
    store, _ = installation
    app.run()
    assert not app.exception
    assert "Which method works for this pair?" in words(app)
    assert app.checkbox(key=keys.REPAIR + "reset").disabled
    app.checkbox(key=keys.METHOD + "activation").uncheck()
    app.number_input(key=keys.METHODS_SAMPLES).set_value(300)
    app.number_input(key=f"{keys.METHOD_OPTION}weight_restarts").set_value(3).run()
    app.button(key=keys.METHODS_START).click().run()
    assert not app.exception
    (status,) = store.list("methods")
    spec = store.spec(status.run_id)
    assert [(m.key, dict(m.options)) for m in spec.methods] == [("weight", {"restarts": 3})]
    assert (spec.repairs, spec.data.samples, spec.a, spec.b) == (("repair",), 300, A, B)
    assert status.title == TITLE
    assert executor.started >= 1
    assert "A worker is starting" in app.get("progress")[0].proto.text
    app.button(key=keys.METHODS_CANCEL).click().run()
    assert executor.cancelled == [status.run_id]
    assert "What was finished is kept" in words(app)
    app.button(key=keys.METHODS_AGAIN).click().run()
    assert store.status(status.run_id).state == "queued"


def test_nothing_ticked_cannot_be_asked(installation, app):
    app.run()
    for key in ("weight", "activation"):
        app.checkbox(key=keys.METHOD + key).uncheck()
    app.run()
    assert app.button(key=keys.METHODS_START).disabled
    assert "Tick at least one method." in words(app)


def test_an_option_that_makes_no_sense_is_named(installation, app):
    app.run()
    app.number_input(key=f"{keys.METHOD_OPTION}activation_mixture").set_value(0.0).run()
    assert not app.exception
    assert app.button(key=keys.METHODS_START).disabled
    assert "mixture must be above 0" in words(app)
    app.checkbox(key=keys.METHOD + "activation").uncheck().run()
    app.checkbox(key=keys.METHOD + "activation").check().run()
    assert app.number_input(key=f"{keys.METHOD_OPTION}activation_mixture").value == 1.0
    assert not app.button(key=keys.METHODS_START).disabled


def test_what_is_known_is_shown_at_once(installation, app):
    store, _ = installation
    add_methods(store)
    app.run()
    assert not app.exception
    text = words(app)
    assert "Lowest barrier with weight matching and REPAIR: 1.00 → .05" in text
    assert "Every π(B) is B" in text
    assert "The ensemble of A and B" in text
    assert len(methods_chart(app)) == 1
    app.segmented_control(key=keys.METHODS_SPLIT).set_value("train").run()
    assert methods_chart(app)[0]["layout"]["yaxis"]["title"]["text"] == "train loss"
    app.segmented_control(key=keys.METHODS_QUANTITY).set_value("accuracy").run()
    assert not app.exception


def test_a_method_that_failed_has_a_row_with_the_reason(installation, app):
    store, _ = installation
    add_methods(store, failed="activation")
    app.run()
    assert not app.exception
    assert "too large: 9 GiB" in words(app)


def test_other_data_are_another_question(installation, app):
    store, _ = installation
    add_methods(store, MethodsSpec(**{**methods_spec().model_dump(), "b": A}))
    app.run()
    assert not methods_chart(app)


def test_progress_says_what_each_method_is_doing(installation, app):
    store, _ = installation
    run_id = add_methods(store, state="running")
    store.index.report(run_id, "activation matching: its lines", 0.6, 9.0)
    _, summary = synthetic_methods()
    asked = [{"id": m["id"], "title": m["title"]} for m in summary["methods"]]
    events = [
        {"kind": "partial", "summary": {**summary, "asked": asked}},
        {"kind": "method", "method": "weight", "state": "done", "share": 1.0},
        {"kind": "method", "method": "activation", "state": "lines", "share": 0.4},
    ]
    lines = "".join(json.dumps(event) + "\n" for event in events)
    (store.run_folder(run_id) / "events.jsonl").write_text(lines)
    app.run()
    assert not app.exception
    text = words(app)
    assert "✓ weight matching" in text
    assert "activation matching: its lines" in text
    assert ".050 ± .010" in text
    assert "60\u202f%, about 9.0 s left" in app.get("progress")[0].proto.text


@pytest.mark.parametrize("state", ["done", "queued", "failed"])
def test_its_link_opens_it(installation, app, state):
    store, _ = installation
    app.query_params[keys.RUN] = add_methods(store, state=state)
    app.run()
    assert not app.exception
    text = words(app)
    assert "Methods for mnist-mlp, seed 0 → mnist-mlp, seed 1" in text
    expected = {
        "done": "932\u202f362 parameters",
        "queued": "Cancel",
        "failed": "failed without a reason",
    }
    assert expected[state] in text


def test_runs_lists_it_and_opens_it(installation, app):
    store, _ = installation
    run_id = add_methods(store)
    app.run()
    app.switch_page("pages/runs.py").run()
    assert not app.exception
    assert "Lowest barrier with weight matching and REPAIR" in words(app)
    app.button(key=keys.OPEN + run_id).click().run()
    assert address(app) == run_id
    assert not app.exception


def test_why_something_cannot_be_ticked():
    assert method_obstacle({}) == NO_GROUPS
    assert method_obstacle({"symmetry": {"groups": [1]}}) is None
    assert "no BatchNorm" in str(repair_obstacle("reset", {"batch_norm": {"layers": 0}}))
    assert repair_obstacle("reset", {"batch_norm": {"layers": 3}}) is None
    assert "softmax" in str(repair_obstacle("temperature", {"task": {"kind": "regression"}}))


def test_every_method_has_its_line():
    assert METHODS.keys() <= SENTENCES.keys()
