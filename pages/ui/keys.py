"""Every key of Streamlit's session state and of the address, in one place.

Keys that end up in the address (`bind="query-params"`) are short words, since users see them.
"""

from __future__ import annotations

# In the address: which run and how it is looked at.
RUN = "run"
TAB = "tab"
VIEW = "view"
SCALE = "scale"
CAP = "cap"
QUANTITY = "curve"

# Explore: the pair.
SOURCE = "source"
FILE = {"a": "file_a", "b": "file_b"}
HUB = {"a": "hub_a", "b": "hub_b"}
SERVER = {"a": "server_a", "b": "server_b"}
STORED = {"a": "stored_a", "b": "stored_b"}
READ_FILES = "read_files"
INGEST = {"a": "ingest_a", "b": "ingest_b"}
INGEST_DATA = "ingest_data"

# Explore: data and options.
DATA = "data"
DATA_FILE = "data_file"
SAMPLES = "samples"
ALL_SAMPLES = "all_samples"
DATA_SEED = "data_seed"
MEAN = "mean"
STD = "std"
SEED = "seed"
RESTARTS = "restarts"
PLANE_POINTS = "plane_points"
LINE_POINTS = "line_points"
RESET = "reset"
RESET_SAMPLES = "reset_samples"
FILLED_FROM = "filled_from"
START = "start"
PRESSED = "pressed"
CANCEL = "cancel"
AGAIN = "again"
BACK = "back"

# Runs.
COMPARE = "compare_"
OPEN = "open_"
DELETE = "delete_"
SHOW_ALL = "show_all"
