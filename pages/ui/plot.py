"""Figures on the page: one Plotly for all of them, which keeps zoom, pan and camera.

`st.plotly_chart` forgets what the user did whenever a figure changes; here a figure's new version
takes the old one's place. plotly.js is the file that the Python package brings, served from
where it is installed; assets/plot.js draws.
"""

from __future__ import annotations

from pathlib import Path

import plotly
import plotly.graph_objects as go
import streamlit as st
import streamlit.components.v1 as served

from engine.figures.style import CONFIG

SCRIPT = Path(__file__).resolve().parents[2] / "assets" / "plot.js"
FOLDER = Path(plotly.__file__).resolve().parent / "package_data"

# Declared for its address alone: what lies in the folder is served under /component/NAME/.
_plotlyjs = served.declare_component("plotlyjs", path=FOLDER)
_component = st.components.v2.component(
    "basinscope_plot",
    html='<div class="bs-plot" role="img"></div>',
    js=SCRIPT.read_text(encoding="utf-8"),
    isolate_styles=False,
)


def plot(
    figure: go.Figure, key: str, alt: str, *, height: int | None = None, view: str | None = None
) -> None:
    """Draw a figure at full width.

    Args:
        figure: what to draw.
        key: the chart's own.
        alt: what it shows, for those who cannot see it.
        height: in pixels; None leaves it to the style sheet.
        view: charts of one view are looked at from the same place, wherever they stand and
            whatever has become of their figure; None begins anew with each figure.
    """
    data = {
        "figure": figure.to_json(),
        "alt": alt,
        "height": height,
        "view": view,
        "config": CONFIG,
        "source": _source(),
    }
    _component(key=key, data=data)


def _source() -> str:
    """Return the address of plotly.js."""
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    start = f"/{base}" if base else ""
    return f"{start}/component/{_plotlyjs.name}/plotly.min.js?v={plotly.__version__}"
