"""Inspect: what opens by itself, links, every part, uploads before and after they are read."""

from __future__ import annotations

import pytest

from engine.runs import HeadersSpec, IngestSpec, InspectSpec, SelfTestSpec
from engine.runs.events import EventLog
from pages.ui import keys
from pages.ui.inspect_choice import STORED
from pages.ui.ways import HUB, STATE
from tests.pages.inspected import add_answer, add_inspection, add_self_test, summary
from tests.pages.reading import address, words
from tests.pages.stored import A, B, write_checkpoint

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture
def page(installation, app):
    app.run()
    app.switch_page("pages/inspect.py")
    return app


@pytest.fixture
def store(installation):
    return installation[0]


def test_it_opens_on_the_first_network_and_asks_for_it_at_once(page, store, executor):
    page.run()
    assert not page.exception
    spec = InspectSpec(checkpoint=A)
    assert address(page) == spec.run_id
    assert store.status(spec.run_id).state == "queued"
    assert executor.started


def test_a_finished_inspection_is_told(page, store):
    run_id = add_inspection(store)
    page.query_params[keys.RUN] = run_id
    page.run()
    assert not page.exception
    text = words(page)
    assert "24 networks compute the same function" in text
    assert "2 random permutations of all groups changed no output" in text
    assert "mine · MLP 3-4-2 · 24 parameters · 3 tensors · 96\u202fB" in text
    assert 'class="bs-box bs-linear"' in text
    assert "0.weight</code> <span>axis 0" in text


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ("Tensors", "bs-tree"),
        ("What is fixed", "it meets an input of the model"),
        ("Self-test", "All groups of this network are permuted at random"),
    ],
)
def test_every_part_draws(page, store, part, expected):
    page.query_params[keys.RUN] = add_inspection(store)
    page.query_params[keys.PART] = part
    page.run()
    assert not page.exception
    assert expected in words(page)


def test_what_the_graph_takes_and_does_is_told(page, store):
    facts = {
        "operations": {"linear": 2},
        "inputs": [{"name": "x", "shape": [3], "dtype": "float32"}],
        "output": None,
    }
    page.query_params[keys.RUN] = add_inspection(store, facts=facts)
    page.query_params[keys.PART] = "What is fixed"
    page.run()
    assert not page.exception
    assert "It takes x [batch, 3] (float32)." in words(page)
    assert "2 operations: linear 2." in words(page)


def test_the_search_keeps_what_matches(page, store):
    page.query_params[keys.RUN] = add_inspection(store)
    page.query_params[keys.PART] = "Tensors"
    page.run()
    page.text_input(key=keys.SEARCH).set_value("BIAS").run()
    text = words(page)
    assert 'title="0.bias: 4"' in text
    assert 'title="2.weight: 2 × 4"' not in text
    page.text_input(key=keys.SEARCH).set_value("nothing").run()
    assert "No tensor has such a name" in words(page)


def test_another_network_is_followed_and_a_new_link_wins(page, store):
    first, second = add_inspection(store), InspectSpec(checkpoint=B).run_id
    page.query_params[keys.RUN] = first
    page.run()
    page.selectbox(key=keys.ONE_STORED).select(B).run()
    assert address(page) == second
    page.query_params[keys.RUN] = first
    page.run()
    assert address(page) == first
    assert page.selectbox(key=keys.ONE_STORED).value == A


def test_what_is_not_proved_has_its_reason(page, store):
    proof = {"passed": False, "reason": "the outputs do not depend on its inputs"}
    page.query_params[keys.RUN] = add_inspection(store, proof=proof)
    page.run()
    assert not page.exception
    text = words(page)
    assert "Not proved:" in text
    assert "the outputs do not depend on its inputs." in text
    assert "bs-net" in text


def test_a_run_on_its_way_shows_what_is_known(page, store):
    spec = InspectSpec(checkpoint=A)
    run_id = store.submit(spec, "mine")
    page.query_params[keys.RUN] = run_id
    page.run()
    assert not page.exception
    folder = store.run_folder(run_id)
    known = summary(proof=None, symmetry=None, model=None, graph=None)
    log = EventLog(folder / "events.jsonl")
    log.append({"kind": "partial", "summary": known})
    log.close()
    page.run()
    assert not page.exception
    assert "Reading the network…" in words(page)
    assert "derived from the network's graph in a moment" in words(page)


def test_a_failed_inspection_can_be_asked_again(page, store):
    spec = InspectSpec(checkpoint=A)
    run_id = store.submit(spec, "mine")
    store.index.claim("compute", 1)
    store.index.finish(run_id, "running", "failed", "Memory ran out.")
    page.query_params[keys.RUN] = run_id
    page.run()
    assert "Memory ran out." in page.error[0].value
    page.button(key=keys.AGAIN).click().run()
    assert store.status(run_id).state == "queued"


def test_the_self_test_is_asked_and_told(page, store):
    page.query_params[keys.RUN] = add_inspection(store)
    page.query_params[keys.PART] = "Self-test"
    page.run()
    page.number_input(key=keys.TEST_SEED).set_value(3).run()
    page.button(key=keys.TEST_START).click().run()
    assert not page.exception
    assert store.status(SelfTestSpec(checkpoint=A, seed=3).run_id).state == "queued"
    add_self_test(store)
    page.number_input(key=keys.TEST_SEED).set_value(0).run()
    text = words(page)
    assert "4 of 4 units recovered" in text
    assert "All 4 units of one group were put back into their places. 2 sweeps" in text


def test_a_self_test_that_failed_is_marked(page, store):
    wrong = [{"number": 1, "name": "0", "units": 4, "exact": 2, "tied": 0, "wrong": 2}]
    add_self_test(store, recovered=False, exact=2, wrong=2, groups=wrong, sentence="Not every…")
    page.query_params[keys.RUN] = add_inspection(store)
    page.query_params[keys.PART] = "Self-test"
    page.run()
    assert '<b class="bs-bad">✕ 2</b>' in words(page)
    assert "2 of 4 units recovered" in words(page)


def test_links_lead_to_the_page_that_shows_them(page, installation):
    _, comparison = installation
    page.query_params[keys.RUN] = comparison
    page.run()
    assert "which Explore shows" in page.info[0].value
    page.button(key=keys.ELSEWHERE).click().run()
    assert not page.exception
    assert "removes the whole barrier" in words(page)
    assert address(page) == comparison


def test_explore_leads_here(installation, app):
    store, _ = installation
    app.query_params[keys.RUN] = add_inspection(store)
    app.run()
    assert "which Inspect shows" in app.info[0].value
    app.button(key=keys.ELSEWHERE).click().run()
    assert not app.exception
    assert "24 networks compute the same function" in words(app)


def test_explore_inspects_either_network(installation, app):
    app.run()
    app.button(key=keys.INSPECT["b"]).click().run()
    assert not app.exception
    assert address(app) == InspectSpec(checkpoint=B).run_id


def test_a_self_tests_link_opens_its_network(page, store):
    add_inspection(store)
    page.query_params[keys.RUN] = add_self_test(store)
    page.run()
    assert not page.exception
    assert address(page) == InspectSpec(checkpoint=A).run_id


@pytest.mark.parametrize("link", ["0123456789abcdef", "../../etc/passwd"])
def test_a_wrong_link_has_a_message_and_a_way_back(page, link):
    page.query_params[keys.RUN] = link
    page.run()
    assert not page.exception
    assert "run" in page.error[0].value
    page.button(key=keys.BACK).click().run()
    assert not page.exception
    assert not page.error


def upload(page, data: bytes = b"some bytes", name: str = "odd.pt"):
    page.run()
    page.selectbox(key=keys.ONE_SOURCE).select(STATE).run()
    page.file_uploader(key=keys.FILE["one"]).upload(name, data).run()
    assert not page.exception


def asked(store, kind):
    return store.spec(next(run.run_id for run in store.list(kind)))


def test_an_uploads_headers_come_before_the_file(page, store):
    upload(page)
    headers, whole = asked(store, "headers"), asked(store, "ingest")
    assert isinstance(headers, HeadersSpec)
    assert isinstance(whole, IngestSpec)
    assert headers.upload == whole.upload
    add_answer(store, headers, summary(proof=None, problem="odd.pt: No known family fits"))
    page.run()
    text = words(page)
    assert "Not proved yet:" in text
    assert "No known family fits" in page.warning[0].value


def test_a_refused_upload_keeps_its_tree(page, store):
    page.query_params[keys.RUN] = add_inspection(store)
    upload(page)
    unknown = summary(
        proof=None, symmetry=None, model=None, graph=None, problem="odd.pt: No known family fits"
    )
    page.query_params[keys.PART] = "What is fixed"
    add_answer(store, asked(store, "headers"), unknown)
    whole = asked(store, "ingest")
    store.index.claim("files", 1)
    store.index.finish(whole.run_id, "running", "failed", "odd.pt: No known family fits")
    page.run()
    assert not page.exception
    assert "No known family fits" in page.error[0].value
    assert "bs-tree" in words(page)
    assert "The architecture is not known" in words(page)


def test_an_upload_that_is_read_is_inspected(page, store):
    upload(page)
    sha256 = "c" * 64
    write_checkpoint(store.shelf.checkpoint_file(sha256), sha256, "odd.pt")
    add_answer(store, asked(store, "ingest"), {"sha256": sha256})
    page.run()
    assert not page.exception
    assert address(page) == InspectSpec(checkpoint=sha256).run_id
    page.run()
    assert page.selectbox(key=keys.ONE_SOURCE).value == STATE


def test_the_hub_is_asked_when_told_to(page, store):
    page.run()
    page.selectbox(key=keys.ONE_SOURCE).select(HUB).run()
    assert page.button(key=keys.FETCH_ONE).disabled
    page.text_input(key=keys.HUB["one"]).set_value("org/name").run()
    page.button(key=keys.FETCH_ONE).click().run()
    assert not page.exception
    assert asked(store, "ingest").hub == "org/name"


def test_files_on_the_server_are_offered(page, store, tmp_path, monkeypatch):
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "m.npz").write_bytes(b"PK")
    monkeypatch.setenv("BASINSCOPE_FILES", str(tmp_path / "files"))
    page.run()
    page.selectbox(key=keys.ONE_SOURCE).select("server").run()
    page.selectbox(key=keys.SERVER["one"]).select("m.npz").run()
    assert not page.exception
    assert asked(store, "headers").path == asked(store, "ingest").path


def test_names_from_files_are_shown_as_text(page, store):
    found = summary()
    found["tensors"][0]["name"] = f"{HOSTILE}.weight"
    found["symmetry"]["groups"][0]["name"] = HOSTILE
    found["graph"][1]["name"] = HOSTILE
    found["checkpoint"]["name"] = HOSTILE
    for part in ("Network", "Tensors"):
        page.query_params[keys.RUN] = add_answer(store, InspectSpec(checkpoint=A), found)
        page.query_params[keys.PART] = part
        page.run()
        assert not page.exception
        assert "<img" not in words(page)
        assert "&lt;img src=x" in words(page)


def test_without_any_network_it_says_what_to_do(bare, app):
    app.run()
    app.switch_page("pages/inspect.py").run()
    assert not app.exception
    assert "Choose a network in the sidebar" in app.info[0].value
    assert app.selectbox(key=keys.ONE_SOURCE).value == STATE
    assert STORED not in app.selectbox(key=keys.ONE_SOURCE).options
