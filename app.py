"""Basinscope in the browser: `streamlit run app.py`."""

from __future__ import annotations

import streamlit as st

from engine.errors import BasinscopeError
from pages.ui import engine_access as access
from pages.ui.literal import literal
from pages.ui.look import use_style

st.set_page_config(page_title="Basinscope", page_icon="◉", layout="wide")
use_style()
st.logo("assets/logo.svg", size="large")
try:
    access.executor()  # takes up the runs that an earlier app left unfinished
except (BasinscopeError, OSError) as error:
    st.error(literal(error))
    st.stop()
access.prepare()
st.navigation(
    [
        st.Page("pages/explore.py", title="Explore", icon=":material/explore:", default=True),
        st.Page("pages/inspect.py", title="Inspect", icon=":material/account_tree:"),
        st.Page("pages/merge.py", title="Merge", icon=":material/merge:"),
        st.Page("pages/paths.py", title="Paths", icon=":material/timeline:"),
        st.Page("pages/planes.py", title="Planes", icon=":material/landscape:"),
        st.Page("pages/runs.py", title="Runs", icon=":material/view_list:"),
        st.Page("pages/guide.py", title="Guide", icon=":material/menu_book:"),
    ]
).run()
