"""A plane on the page: its controls, flat or as a surface, the same while it sharpens and after."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import streamlit as st

from engine.figures import plane_figure, plane_preview, suggested_cap, surface_figure
from engine.figures.plane_layers import LOSS, layers, marked
from pages.ui import keys
from pages.ui.look import square_chart, theme

CAP_CHOICES = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
ALT = "Contours of the loss on the plane through A, B and π(B)"
SURFACE_ALT = "The loss on the plane through A, B and π(B) as a surface"
LAYER_HELP = (
    "The loss, or how far off it may be. ± samples: the standard error of a mean over so many "
    "samples. A plane that is not evaluated at every point also has the estimated errors of the "
    "interpolation and of points evaluated on a part of the data."
)
Arrays = Mapping[str, np.ndarray]


def plane_controls(arrays: Arrays, split: str = "test") -> dict[str, Any]:
    """Draw the plane's controls; return the figure's arguments and whether it is 3D.

    Args:
        arrays: of the plane, as far as it is computed.
        split: whose losses it has.
    """
    with st.container(horizontal=True, vertical_alignment="center"):
        view = _choice("View", ["2D", "3D"], keys.VIEW)
        scale = _choice("Colour scale", ["log", "linear"], keys.SCALE)
        cap = _cap(arrays.get(f"plane_{split}_loss"))
        layer = _layer(arrays, split)
        points = marked(arrays) and _points(flat=view != "3D")
    look = {"log": scale != "linear", "cap": cap, "layer": layer}
    return look | {"view": view, "points": points}


def draw_plane(
    run_id: str, arrays: Arrays, summary: Mapping[str, Any], options: Mapping[str, Any], key: str
) -> None:
    """Draw the plane flat or as a surface.

    One run's plane is looked at from one place, be it half computed or finished: zoom, pan and
    camera outlive every update.
    """
    scale = {"theme": theme(), "log": options["log"], "cap": options["cap"]}
    look = {**scale, "layer": options["layer"]}
    if options["view"] == "3D":
        square_chart(
            lambda: surface_figure(arrays, summary, **look),
            f"{key}_3d",
            SURFACE_ALT,
            view=f"{run_id} surface",
        )
    else:
        square_chart(
            lambda: plane_figure(arrays, summary, points=options["points"], **look),
            f"{key}_2d",
            ALT,
            # The quick picture knows losses alone.
            preview=plane_preview(arrays, summary, **scale) if look["layer"] == "loss" else None,
            view=f"{run_id} flat",
        )


def _choice(label: str, options: list[str], key: str) -> str | None:
    return st.segmented_control(
        label,
        options,
        default=options[0],
        required=True,
        key=key,
        bind="query-params",
        label_visibility="collapsed",
    )


def _cap(loss: np.ndarray | None) -> float | None:
    """Draw the choice of the largest loss with a colour of its own; None chooses by itself."""
    usual = suggested_cap(loss) if loss is not None else 1.0
    cap = st.selectbox(
        "Cap",
        ["auto", *[f"{value:g}" for value in CAP_CHOICES]],
        format_func=lambda text: f"cap {usual:g} (auto)" if text == "auto" else f"cap {text}",
        key=keys.CAP,
        bind="query-params",
        label_visibility="collapsed",
        width=150,
        help="Losses over the cap share the last colour.",
    )
    return None if cap in (None, "auto") else float(cap)


def _layer(arrays: Arrays, split: str) -> str:
    """Draw the choice between the loss and its errors, as many as the plane has."""
    titles = {layer.key: layer.title for layer in layers(arrays, split)}
    if len(titles) == 1:
        return LOSS.key
    if st.session_state.get(keys.LAYER) not in titles:
        st.session_state[keys.LAYER] = LOSS.key
    return st.selectbox(
        "Layer",
        list(titles),
        format_func=titles.__getitem__,
        key=keys.LAYER,
        label_visibility="collapsed",
        width=190,
        help=LAYER_HELP,
    )


def _points(*, flat: bool) -> bool:
    """Draw whether evaluated points are marked; the surface would hide half of them."""
    on = st.toggle(
        "points",
        key=keys.POINTS,
        disabled=not flat,
        help="Marks the points that were evaluated; the others are estimates."
        if flat
        else "Points are marked on the flat plane: the surface would hide half of them.",
    )
    return on and flat
