"""The estimate in the sidebar: by this machine, by the run shown, or none."""

from __future__ import annotations

from engine.runs.cost import Speed, keep_speed, speed_key
from pages.ui import keys
from pages.ui.estimate import NOTHING
from tests.pages.reading import words
from tests.pages.stored import add_run, compare_spec

MODEL = {"title": "MLP 784-512-512-512-10", "parameters": 932362}


def test_a_speed_of_this_machine_counts_before_that_of_the_run_shown(installation, app):
    store, _ = installation
    app.run()
    app.number_input(key=keys.SEED).set_value(3).run()
    assert "by the speed of the run shown; " in words(app)
    keep_speed(store.home, speed_key(MODEL, "exact"), Speed(1e-6, 2.0, 0.1))
    app.run()
    # 1.59 million samples for lines and models, 6.25 for the plane.
    assert "About 9.8 s on this machine; 4.2 s for a 1\u202f% preview." in words(app)
    app.selectbox(key=keys.PLANE_MODE).set_value("accuracy").run()
    assert "About 4.2 s on this machine." in words(app)


def test_statistics_have_a_share_of_their_own(installation, app):
    store, _ = installation
    keep_speed(store.home, speed_key(MODEL, "exact"), Speed(1e-5, 2.0))
    app.run()
    app.selectbox(key=keys.STATISTICS).set_value("repair").run()
    assert not app.exception
    assert "REPAIR: +7.8 s of it." in words(app)  # 1000 samples at 625 + 150 points


def test_a_model_that_never_ran_has_no_estimate(installation, app):
    store, _ = installation
    app.query_params[keys.RUN] = add_run(store, compare_spec(samples=9), "x", "failed", reason="no")
    app.run()
    assert NOTHING in words(app)
