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
LAYER = "layer"
POINTS = "points"
QUANTITY = "curve"

# Explore: the pair.
SOURCE = "source"
FILE = {"a": "file_a", "b": "file_b", "one": "file_one"}
FILES = {"a": "files_a", "b": "files_b", "one": "files_one"}
HUB = {"a": "hub_a", "b": "hub_b", "one": "hub_one"}
SERVER = {"a": "server_a", "b": "server_b", "one": "server_one"}
STORED = {"a": "stored_a", "b": "stored_b", "one": "stored_one"}
READ_FILES = "read_files"
INGEST = {"a": "ingest_a", "b": "ingest_b", "one": "ingest_one"}
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
PLANE_MODE = "plane_mode"
PLANE_ACCURACY = "plane_accuracy"
PLANE_SECONDS = "plane_seconds"
PRECISION = "precision"
STATISTICS = "statistics"
EXACT_GRID = "exact_grid"
EXACT_PROBLEM = "exact_problem"
RESET_SAMPLES = "reset_samples"
FILLED_FROM = "filled_from"
START = "start"
PRESSED = "pressed"
CANCEL = "cancel"
AGAIN = "again"
BACK = "back"

LAUNCHED = "launched"
PREPARED = "prepared"

# Runs.
COMPARE = "compare_"
OPEN = "open_"
DELETE = "delete_"
SHOW_ALL = "show_all"
SHOW_ALL_INSPECTED = "show_all_inspected"

# Inspect: one network. PART is in the address too.
PART = "part"
ONE_SOURCE = "one_source"
ONE_STORED = "one_stored"
ONE_SEEN = "one_seen"
ONE_HEADERS = "one_headers"
FETCH_ONE = "fetch_one"
INSPECT = {"a": "inspect_a", "b": "inspect_b"}
SEARCH = "search"
FOLDED = "folded"
TEST_SEED = "test_seed"
TEST_START = "test_start"
TEST_CANCEL = "test_cancel"
ELSEWHERE = "elsewhere"

# Explore: methods and repairs tried on the pair. The first three begin a key of each method's.
METHOD = "method_"
METHOD_OPTION = "method_option_"
REPAIR = "method_repair_"
METHODS_FILLED = "methods_filled"
METHODS_SAMPLES = "methods_samples"
METHODS_START = "methods_start"
METHODS_SHOWN = "methods_shown"
METHODS_CANCEL = "methods_cancel"
METHODS_AGAIN = "methods_again"
METHODS_QUANTITY = "methods_quantity"
METHODS_SPLIT = "methods_split"
METHODS_SCALE = "methods_scale"
METHODS_REPAIRS = "methods_repairs"
SHOW_ALL_METHODS = "show_all_methods"

# Merge. The second is the beginning of a key of each repair's.
MERGE_MODELS = "merge_models"
MERGE_REPAIR = "merge_repair_"
MERGE_METHOD = "merge_method"
MERGE_FILES = "merge_files"
MERGE_READING = "merge_reading"
MERGE_SEEN = "merge_seen"
MERGE_START = "merge_start"
MERGE_PRESSED = "merge_pressed"
MERGE_QUANTITY = "merge_quantity"
MERGE_SPLIT = "merge_split"
SHOW_ALL_MERGES = "show_all_merges"

# Paths.
PATH_END = "path_end"
PATH_SHAPE = "path_shape"
PATH_BENDS = "path_bends"
PATH_EPOCHS = "path_epochs"
PATH_BATCH = "path_batch"
PATH_OPTIMISER = "path_optimiser"
PATH_RATE = "path_rate"
PATH_DECAY = "path_decay"
PATH_METHOD = "path_method"
PATH_EXTENT = "path_extent"
PATH_SEEN = "path_seen"
PATH_START = "path_start"
PATH_PRESSED = "path_pressed"
PATH_PLANE = "path_plane"
PATH_SCALE = "path_scale"
PATH_QUANTITY = "path_quantity"
SHOW_ALL_PATHS = "show_all_paths"

# Planes of other kinds.
PLANES_KIND = "planes_kind"
PLANES_MODELS = "planes_models"
PLANES_FILES = "planes_files"
PLANES_READING = "planes_reading"
PLANES_BY_NAME = "planes_by_name"
PLANES_MATCHED = "planes_matched"
PLANES_SCALING = "planes_scaling"
PLANES_VECTORS = "planes_vectors"
PLANES_HESSIAN = "planes_hessian"
PLANES_TOLERANCE = "planes_tolerance"
PLANES_PRODUCTS = "planes_products"
PLANES_SPLIT = "planes_split"
PLANES_POINTS = "planes_points"
PLANES_EXTENT = "planes_extent"
PLANES_SEEN = "planes_seen"
PLANES_START = "planes_start"
PLANES_PRESSED = "planes_pressed"
SHOW_ALL_PLANES = "show_all_planes"
