"""Guide: the words, the papers, the picture."""

from __future__ import annotations

from tests.pages.reading import charts, words

PAPERS = ("2209.04836", "2110.06296", "1912.05671", "dissect-git-re-basin", "2211.08403")


def test_it_names_every_paper_and_shows_the_builtin_plane(installation, app):
    app.run()
    app.switch_page("pages/guide.py").run()
    assert not app.exception
    text = words(app)
    assert "most curved" in text and "whose bends are trained" in text
    for paper in PAPERS:
        assert paper in text
    assert len(charts(app)) == 1


def test_it_needs_no_builtin_run(bare, app):
    app.run()
    app.switch_page("pages/guide.py").run()
    assert not app.exception
    assert not charts(app)
