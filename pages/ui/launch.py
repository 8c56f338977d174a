"""A page opened by its address before anybody has opened the app: `app.py` runs first.

Until `st.navigation` has run once in a server, Streamlit takes the folder `pages/` for an older
kind of app and runs the addressed page alone, without style, store and menu.
"""

from __future__ import annotations

import streamlit as st
from streamlit.runtime.pages_manager import PagesManager

from pages.ui import keys


def through_app() -> None:
    """Begin again with `app.py` where a session's first page is run without it."""
    if PagesManager.uses_pages_directory and keys.LAUNCHED not in st.session_state:
        st.session_state[keys.LAUNCHED] = True  # once: beginning again forgets what was pressed
        PagesManager.uses_pages_directory = False
        st.rerun()
