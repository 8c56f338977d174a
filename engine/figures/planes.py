"""Planes of other kinds in words, tables and the small figure beside the plane."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from engine.figures.geometry import Arrays, Summary
from engine.figures.numbers import count, is_number, percent, plain, power_of_ten
from engine.figures.task import words

KINDS: Mapping[str, str] = {
    "three": "Three checkpoints",
    "random": "Random directions",
    "pca": "Training trajectory (PCA)",
    "hessian": "Hessian eigenvectors",
}
SENTENCES: Mapping[str, str] = {
    "three": "The plane through any three networks of one architecture, as they are or matched to "
    "the first.",
    "random": "Two random directions around one network, each filter scaled to the network's own "
    "(Li et al. 2018).",
    "pca": "The checkpoints of one training, on the plane of their first two principal components "
    "through the last one (Li et al. 2018).",
    "hessian": "The two directions in which the loss at one network is curved most: the top "
    "eigenvectors of its Hessian on training samples.",
}
SPLITS = ("test", "train")


def planes_headline(summary: Summary) -> str:
    """Return what a plane shows, in one sentence; of an unfinished run, what it will show."""
    kind, plane = str(summary.get("kind", "")), summary.get("plane") or {}
    names = [str(model.get("name", "")) for model in summary.get("models") or ()]
    if not names:
        return "A plane is being computed."
    if kind == "pca":
        shares = plane.get("explained")
        if not shares:
            return f"The training of {len(names)} checkpoints"
        return (
            f"{percent(sum(shares))}\u202f% of the variance of {len(names)} checkpoints lies "
            "along this plane"
        )
    if kind == "hessian":
        values = plane.get("eigenvalues")
        told = f": eigenvalues {_number(values[0])} and {_number(values[1])}" if values else ""
        return f"The most curved directions at {names[0]}{told}"
    if kind == "three":
        return f"The plane through {names[0]}, {names[1]} and {names[2]}"
    rows = summary.get("rows") or ()
    own = (rows[0].get(plane.get("split", "test")) or {}).get("loss") if rows else None
    told = f": {plane.get('split')} loss {words(summary).loss(own)} at the network" if rows else ""
    return f"Random directions around {names[0]}{told}"


def model_rows(summary: Summary) -> list[dict[str, str]]:
    """Return each network with its place, its distance from the plane, its losses and scores."""
    told = words(summary)
    lines = []
    for row in summary.get("rows") or ():
        u, v = row["place"]
        line = {
            "network": _name(row),
            "place (u, v)": f"({_place(u)}, {_place(v)})",
            "off the plane": "on it" if row["off_plane"] < 1e-6 else f"{row['off_plane']:.3g}",
        }
        for split in SPLITS:
            values = row.get(split) or {}
            line[f"{split} loss"] = told.loss_with_error(values.get("loss"), values.get("loss_se"))
            line |= {f"{split} {title}": text for title, text in told.point(values).items()}
        lines.append(line)
    return lines


def check_rows(summary: Summary) -> list[dict[str, str]]:
    """Return the plane's geometry, measured, in words: one row for each check."""
    plane = summary.get("plane") or {}
    rows = [("unit of both axes", f"{plane['unit']:.4g}, {plane.get('unit_words', '')}")]
    if plane.get("kind") == "random":
        rows.append(("angle of the axes", f"{plane['angle_degrees']:.2f}°, not made orthogonal"))
    else:
        rows.append(("|cosine| of the axes", power_of_ten(plane["orthonormality"])))
    if plane.get("kind") == "three" and is_number(plane.get("angle_degrees")):
        rows.append(("angle at A", f"{plane['angle_degrees']:.2f}°"))
    for pair, distance in (plane.get("distances") or {}).items():
        rows.append((f"distance {pair.replace('|', ' to ')}", f"{distance:.4g}"))
    measured = plane.get("measured")
    if measured:
        lengths = max(abs(length - 1) for length in measured["lengths"])
        rows.append(("steps of the formed grid are 1 to", power_of_ten(lengths)))
        rows.append(("|cosine| of the formed grid", power_of_ten(measured["cosine"])))
        rows.append(("weights at corners minus models", _zero(measured["corner_error"])))
        rows.append(("loss at corners minus models", _zero(plane["corner_difference"])))
    return [{"check": name, "measured": text} for name, text in rows + _of_kind(plane)]


def note(summary: Summary) -> str:
    """Return what has to be known to read the plane, in a few sentences."""
    plane, norms = summary.get("plane") or {}, summary.get("batch_norm") or {}
    parts = [plane["degenerate"]] if plane.get("degenerate") else []
    if plane.get("kind") == "pca":
        parts.append(
            "Dots are projections: the plane's loss at a dot is not the checkpoint's own, which "
            "the table has."
        )
    if plane.get("kind") == "hessian":
        parts.append(
            f"The Hessian is that of the mean loss on {count(plane.get('samples', 0))} training "
            "samples. Dotted: the loss that its eigenvalues predict."
        )
    if plane.get("kind") == "random":
        still = plane.get("still_parameters", 0)
        told = f"{count(still)} biases and norm parameters stay" if still else "All parameters move"
        parts.append(f"{told}. The two directions are at {plane['angle_degrees']:.2f}°.")
    if norms.get("reset"):
        parts.append(
            "BatchNorm statistics are recomputed at every point from "
            f"{count(norms['reset_samples'])} training samples."
        )
    if summary.get("equivalence"):
        most = summary["equivalence"].get("max_abs_logit_difference")
        parts.append(
            f"Matched networks compute what they did: {words(summary).output}s on the test samples "
            f"differ by at most {power_of_ten(most)}."
        )
    return " ".join(parts)


def cuts(arrays: Arrays, summary: Summary) -> dict[str, tuple[np.ndarray, np.ndarray, float]]:
    """Return the rows of the grid through the origin: axis → (places, losses, the other's place).

    Where 0 is no point of the grid, the nearest row or column.
    """
    split = (summary.get("plane") or {}).get("split", "test")
    u, v = np.asarray(arrays["plane_u"]), np.asarray(arrays["plane_v"])
    loss = np.asarray(arrays[f"plane_{split}_loss"], dtype=np.float64)
    row, column = int(np.abs(v).argmin()), int(np.abs(u).argmin())
    return {"u": (u, loss[row], float(v[row])), "v": (v, loss[:, column], float(u[column]))}


def _of_kind(plane: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what one kind of plane alone has to say."""
    kind = plane.get("kind")
    if kind == "hessian":
        rows = [
            (
                f"{which} eigenvalue",
                f"{_number(plane['eigenvalues'][n])}, residual {power_of_ten(residual)}",
            )
            for n, (which, residual) in enumerate(
                zip(("first", "second"), plane["residuals"], strict=True)
            )
        ]
        return [*rows, ("Hessian products", count(plane["products"]))]
    if kind == "pca":
        shares = " + ".join(f"{percent(share)}\u202f%" for share in plane["explained"])
        return [("variance along the axes", shares)]
    if kind == "random":
        scaled = {"filter": "each filter", "layer": "each tensor", "model": "all together"}
        still = f"{count(plane['still_parameters'])} parameters stay"
        return [("scaled to the network's norm", f"{scaled[plane['scaling']]}; {still}")]
    return []


def _name(row: Mapping[str, Any]) -> str:
    """Return a network's name, with its letter or place in the training before it."""
    key = str(row["key"])
    return str(row["title"]) if key == "model" else f"{key}: {row['title']}"


def _place(value: float) -> str:
    return plain(value, 2) if value else "0"


def _number(value: float | None) -> str:
    return f"{value:.4g}" if is_number(value) else plain(None)


def _zero(value: float | None) -> str:
    return "0" if value == 0 else power_of_ten(value)
