"""The built-in runs: what a new installation shows before anything was computed."""

from __future__ import annotations

from engine.runs.demo import METHODS, TITLE
from engine.runs.methods_spec import MethodsSpec
from engine.runs.spec import CompareSpec
from engine.runs.store import Store


def test_the_built_in_pair_is_compared_and_methods_were_tried_on_it(tmp_path):
    store = Store(tmp_path)
    (compared,) = store.list("compare")
    (tried,) = store.list("methods")
    comparison, methods = store.spec(compared.run_id), store.spec(tried.run_id)
    assert isinstance(comparison, CompareSpec) and isinstance(methods, MethodsSpec)
    assert compared.title == TITLE
    assert (methods.a, methods.b) == (comparison.a, comparison.b)
    assert (methods.data.name, methods.data.sha256) == (
        comparison.data.name,
        comparison.data.sha256,
    )
    assert methods.methods == METHODS
    rows = store.result(tried.run_id).summary["rows"]
    assert {row["method"] for row in rows} == {"none", "weight", "activation", "cosine"}
    assert not any(row["problem"] for row in rows)
