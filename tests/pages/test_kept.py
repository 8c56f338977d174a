"""A stored run that is opened and changed: what a page does not draw stays as it was asked."""

from __future__ import annotations

import pytest

from engine.runs import CompareSpec, DataSpec, MergeSpec, PathSpec, PlaneSpec
from pages.ui import keys
from pages.ui.kept import kept, kept_options, kept_splits
from tests.pages.reading import address, run_button
from tests.pages.stored import A, B

DATA = DataSpec(name="mnist", samples=300, train_split="test", test_split="train")
PLANE = PlaneSpec(
    plane="hessian",
    models=(A,),
    data=DATA,
    extent=(-0.123456789, 2, -1, 1e-7),
    tolerance=1e-5,
    most_products=123,
    reset=False,
    reset_samples=77,
    overrides={"activation": "gelu"},
)
PATH = PathSpec(
    a=A,
    b=B,
    data=DATA,
    end="both",
    rate=1e-9,
    options={"restarts": 3},
    points=7,
    plane_points=5,
    extent=(-0.123456789, 2, -1, 1),
    reset=True,
    reset_samples=77,
    overrides={"activation": "gelu"},
)
MERGE = MergeSpec(
    models=(A, B),
    data=DATA,
    method="weight",
    options={"restarts": 3},
    repair_samples=77,
    overrides={"activation": "gelu"},
)
COMPARE = CompareSpec(
    a=A, b=B, data=DATA, extent=(-1, 2, -1, 1), reset=True, overrides={"activation": "gelu"}
)
PAGES = {
    "planes": (PLANE, keys.PLANES_START),
    "paths": (PATH, keys.PATH_START),
    "merge": (MERGE, keys.MERGE_START),
}


@pytest.mark.parametrize("name", PAGES)
def test_a_run_asked_with_one_change_differs_in_that_alone(installation, app, name):
    store, _ = installation
    spec, start = PAGES[name]
    app.run()
    app.switch_page(f"pages/{name}.py")
    app.query_params[keys.RUN] = store.submit(spec, "a run")
    app.run()
    assert not app.exception
    app.number_input(key=keys.SEED).set_value(5).run()
    app.button(key=start).click().run()
    assert not app.exception
    assert store.spec(address(app)) == type(spec)(**{**spec.model_dump(), "seed": 5})


def test_a_comparison_keeps_its_extent_and_overrides(installation, app):
    store, _ = installation
    app.query_params[keys.RUN] = store.submit(COMPARE, "a run")
    app.run()
    app.number_input(key=keys.SEED).set_value(5).run()
    run_button(app).click().run()
    assert store.spec(address(app)) == CompareSpec(**{**COMPARE.model_dump(), "seed": 5})


def test_what_a_kind_does_not_draw_comes_back_as_the_run_had_it(installation, app):
    store, _ = installation
    app.run()
    app.switch_page("pages/planes.py")
    app.query_params[keys.RUN] = store.submit(PLANE, "a plane")
    app.run()
    app.selectbox(key=keys.PLANES_KIND).select("random").run()
    app.selectbox(key=keys.PLANES_KIND).select("hessian").run()
    assert app.number_input(key=keys.PLANES_TOLERANCE).value == 1e-5
    assert app.number_input(key=keys.PLANES_PRODUCTS).value == 123


def test_overrides_are_of_an_architecture_and_options_of_a_method():
    assert kept(None, (A,)) == {}
    assert kept(PLANE, (B, A))["overrides"] == {"activation": "gelu"}
    assert "overrides" not in kept(PLANE, (B,))
    assert "overrides" not in kept(PATH, ("c" * 64,))
    assert kept_options(MERGE, "weight") == {"restarts": 3}
    assert kept_options(MERGE, "activation") == kept_options(None, "weight") == {}
    splits = {"train_split": "test", "test_split": "train"}
    assert kept_splits(PATH, "mnist", None) == splits
    assert kept_splits(PATH, "cifar10", None) == kept_splits(PATH, "mnist", A) == {}
