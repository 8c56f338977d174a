"""Runs: list, states, open, delete, side by side."""

from __future__ import annotations

import pytest

from engine.errors import RunError
from pages.ui import keys
from tests.pages.inspected import add_inspection, add_self_test
from tests.pages.reading import address, charts, words
from tests.pages.stored import add_run, compare_spec


@pytest.fixture
def page(installation, app):
    app.run()
    app.switch_page("pages/runs.py")
    return app


def test_every_state_has_its_own_words(page, installation):
    store, _ = installation
    add_run(store, compare_spec(samples=10), "first", result={"resolution": 5})
    add_run(store, compare_spec(samples=11), "second", "failed", reason="Out of memory.")
    add_run(store, compare_spec(samples=12), "third", "running")
    add_run(store, compare_spec(samples=13), "fourth", "queued")
    page.run()
    assert not page.exception
    text = words(page)
    for part in ("● done", "✕ failed", "◐ running", "○ waiting", "Out of memory.", "built in"):
        assert part in text
    assert "barrier ." in text


def test_delete_asks_once_more(page, installation):
    store, _ = installation
    run_id = add_run(store, compare_spec(samples=10), "first", result={"resolution": 5})
    page.run()
    page.button(key=keys.DELETE + run_id).click().run()
    assert not page.exception
    with pytest.raises(RunError, match="There is no run"):
        store.status(run_id)


def test_two_ticked_runs_stand_side_by_side(page, installation):
    store, builtin = installation
    other = {"resolution": 5, "joined": False}
    run_id = add_run(store, compare_spec(samples=10), "apart", result=other)
    page.run()
    assert not charts(page)
    page.checkbox(key=keys.COMPARE + run_id).check()
    page.checkbox(key=keys.COMPARE + builtin).check().run()
    assert not page.exception
    assert len(charts(page)) == 2
    assert "removes the whole barrier" in words(page)


def test_open_goes_to_explore(page, installation):
    store, _ = installation
    run_id = add_run(store, compare_spec(samples=10), "first", result={"resolution": 5})
    page.run()
    page.button(key=keys.OPEN + run_id).click().run()
    assert not page.exception
    assert address(page) == run_id
    assert "π(B) is B" in words(page)


def test_a_damaged_run_is_listed_and_cannot_be_compared(page, installation):
    store, _ = installation
    run_id = add_run(store, compare_spec(samples=10), "first", result={"resolution": 5})
    (store.run_folder(run_id) / "result.npz").write_bytes(b"broken")
    page.run()
    assert not page.exception
    assert page.checkbox(key=keys.COMPARE + run_id).disabled
    assert "its files are damaged" in words(page)


def test_without_runs(bare, app):
    app.run()
    app.switch_page("pages/runs.py").run()
    assert not app.exception
    assert "There is no run yet" in app.info[0].value


def test_inspected_networks_have_a_list_of_their_own(page, installation):
    store, _ = installation
    run_id = add_inspection(store)
    add_self_test(store)
    page.run()
    assert not page.exception
    text = words(page)
    assert "Inspected networks" in text
    assert "● done · 24 networks compute the same function · proved" in text
    assert "Self-test" not in text
    page.button(key=keys.DELETE + run_id).click().run()
    assert "Inspected networks" not in words(page)


def test_open_goes_to_inspect(page, installation):
    store, _ = installation
    run_id = add_inspection(store)
    page.run()
    page.button(key=keys.OPEN + run_id).click().run()
    assert not page.exception
    assert address(page) == run_id
    assert "bs-net" in words(page)
