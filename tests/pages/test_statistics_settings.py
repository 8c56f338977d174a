"""What is done to statistics at every point: a choice that is always there, and what it asks."""

from __future__ import annotations

import pytest

from pages.ui import keys
from tests.pages.reading import address, run_button


def test_the_usual_choice_is_shown_in_words(installation, app):
    app.run()
    chosen = app.selectbox(key=keys.STATISTICS)
    assert chosen.value == "usual"
    assert chosen.options[chosen.index] == "BatchNorm reset where there is one"


@pytest.mark.parametrize(
    ("choice", "reset", "statistics"),
    [("reset", True, None), ("interpolate", False, None), ("repair", None, "repair")],
)
def test_a_choice_is_asked_and_shown_again(installation, app, choice, reset, statistics):
    store, _ = installation
    app.run()
    app.selectbox(key=keys.STATISTICS).set_value(choice).run()
    run_button(app).click().run()
    spec = store.spec(address(app))
    assert (spec.reset, spec.statistics) == (reset, statistics)
    assert app.selectbox(key=keys.STATISTICS).value == choice
