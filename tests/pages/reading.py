"""What a page shows, read from an AppTest: its words, its charts, its address."""

from __future__ import annotations

import json

from pages.ui import keys


def words(app):
    """Everything that is written on the page, as one text."""
    parts = [*app.main, *app.sidebar]
    found = []

    def collect(element):
        for name in ("value", "label", "body"):
            text = getattr(element, name, None)
            if isinstance(text, str):
                found.append(text)
        if hasattr(element, "children"):
            for child in element.children.values():
                collect(child)
        proto = getattr(element, "proto", None)
        if type(element).__name__ == "UnknownElement" and hasattr(proto, "body"):
            found.append(proto.body)

    for part in parts:
        collect(part)
    return "\n".join(found)


def charts(app):
    """The Plotly figures on the page."""
    return [json.loads(drawn(chart)["figure"]) for chart in app.get("bidi_component")]


def drawn(chart):
    """What a chart of the page is given: figure, description, view."""
    return json.loads(chart.proto.json)


def views(app):
    """What the page's charts are views of."""
    return {view for chart in app.get("bidi_component") if (view := drawn(chart)["view"])}


def address(app):
    """The run that the address names."""
    value = app.query_params[keys.RUN]
    return value[0] if isinstance(value, list) else value


def run_button(app):
    return app.button(key=keys.START)
