"""Names from files and addresses never act as Markdown."""

from __future__ import annotations

import pytest

from pages.ui import keys
from pages.ui.literal import literal
from tests.pages.stored import add_run, compare_spec

HOSTILE = "![x](http://127.0.0.1/x.png) [y](http://127.0.0.1) <http://127.0.0.1> :red[z] $a$ *b*"


@pytest.mark.parametrize("sign", list("\\*[]<$~"))
def test_what_acts_is_escaped(sign):
    assert literal(f"a{sign}b") == f"a\\{sign}b"


def test_plain_sentences_and_code_stay_as_they_are():
    sentence = "layer1.0.conv1.weight is 3×3 in A; set `inputs` (one per sample) & try_again."
    assert literal(sentence) == sentence
    assert literal("w [3, 2]") == "w \\[3, 2\\]"


def test_a_link_with_markdown_in_it_shows_its_letters(installation, app):
    app.query_params[keys.RUN] = HOSTILE
    app.run()
    assert literal(HOSTILE)[:40] in app.error[0].value
    assert "](" not in app.error[0].value.replace("\\]", "")


def test_the_reason_of_a_run_shows_its_letters(installation, app):
    store, _ = installation
    run_id = add_run(store, compare_spec(samples=10), HOSTILE, "failed", reason=HOSTILE)
    app.query_params[keys.RUN] = run_id
    app.run()
    assert app.error[0].value == literal(HOSTILE)
