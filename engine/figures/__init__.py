"""Results → Plotly figures, tables and sentences; knows neither torch nor Streamlit."""

from engine.figures.curves import curves_figure
from engine.figures.headline import Headline, headline, proof_lead, proof_sentence, removed_share
from engine.figures.html import standalone_html
from engine.figures.layers import layer_rows, layers_figure
from engine.figures.matching import matching_figure, objective_figure
from engine.figures.plane import plane_figure
from engine.figures.png import PngError, find_browser, png_bytes
from engine.figures.preview import plane_preview
from engine.figures.scale import LossScale, loss_scale, suggested_cap
from engine.figures.surface import surface_figure
from engine.figures.tables import DEFINITIONS, barrier_rows, definitions, model_rows

__all__ = [
    # words and tables
    "DEFINITIONS",
    "Headline",
    # scales
    "LossScale",
    # files
    "PngError",
    "barrier_rows",
    # figures
    "curves_figure",
    "definitions",
    "find_browser",
    "headline",
    "layer_rows",
    "layers_figure",
    "loss_scale",
    "matching_figure",
    "model_rows",
    "objective_figure",
    "plane_figure",
    "plane_preview",
    "png_bytes",
    "proof_lead",
    "proof_sentence",
    "removed_share",
    "standalone_html",
    "suggested_cap",
    "surface_figure",
]
