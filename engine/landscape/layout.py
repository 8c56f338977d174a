"""Which models span the plane of A, B and π(B): these three, or a stand-in where they cannot.

Three models on one line span no plane: π(B) is B (no unit had to move), π(B) is A (B was a
permuted copy), or A is B. The line is still worth seeing among its surroundings, so a random
direction (`direction.py`) of the same length takes the missing place, and a sentence says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from engine.errors import LandscapeError
from engine.landscape.direction import displaced, random_direction
from engine.landscape.geometry import gram, norm
from engine.landscape.span import Span

MODELS = ("A", "B", "pi_b")


@dataclass(frozen=True)
class Layout:
    """What spans a plane.

    Attributes:
        span: origin, the model on the first axis, the model off it.
        corners: affine weights of A, B and π(B) in that span, float64 [3, 3].
        unit: length of the first axis.
        distances: Euclidean, of "A|B", "A|pi_b" and "B|pi_b".
        angle: at A, in degrees; None where a side is zero.
        sentence: None, or why and how a random direction stands in.
    """

    span: Span
    corners: Tensor
    unit: float
    distances: Mapping[str, float]
    angle: float | None
    sentence: str | None


def lay_out(models: Span, names: Sequence[str], seed: int) -> Layout:
    """Choose the models that span the plane: the three given, or a stand-in where they cannot."""
    products = gram(models.models, names)
    if not bool(products.isfinite().all()):
        raise LandscapeError(
            "The models hold NaN or infinite weights (or lie too far apart), so no plane goes "
            "through them; check the checkpoints."
        )
    bb, cc, bc = float(products[0, 0]), float(products[1, 1]), float(products[0, 1])
    ab, ac = bb**0.5, cc**0.5
    apart = max(bb - 2 * bc + cc, 0.0) ** 0.5
    # Points are formed in float32: differences near its rounding of the weights span nothing.
    scale = max(norm(model, names) for model in models.models)
    tolerance = 64 * torch.finfo(torch.float32).eps * scale
    height = max(cc - bc**2 / bb, 0.0) ** 0.5 if ab > tolerance else 0.0
    distances = {"A|B": ab, "A|pi_b": ac, "B|pi_b": apart}
    angle = float(np.degrees(np.arctan2(height, bc / ab))) if min(ab, ac) > tolerance else None
    if height > tolerance:
        return Layout(models, torch.eye(3, dtype=torch.float64), ab, distances, angle, None)
    span, unit, share, sentence = _stand_in(
        models, names, seed, distances=distances, inner=bc, tolerance=tolerance
    )
    rows = torch.tensor([[1 - s, s, 0.0] for s in share], dtype=torch.float64)
    return Layout(span, rows, unit, distances, angle, sentence)


def _stand_in(
    models: Span,
    names: Sequence[str],
    seed: int,
    *,
    distances: Mapping[str, float],
    inner: float,
    tolerance: float,
) -> tuple[Span, float, tuple[float, float, float], str]:
    """Return a spanning set, its unit, where A, B, π(B) lie on its first axis, and a sentence."""
    a, b, pi_b = models.models
    ab, ac, bc = (distances[key] for key in ("A|B", "A|pi_b", "B|pi_b"))
    drawn = random_direction(a, names, torch.Generator().manual_seed(seed))
    if max(ab, ac) <= tolerance:
        unit = norm(a, names)
        first = displaced(a, drawn, None, unit)
        drawn = random_direction(a, names, torch.Generator().manual_seed(seed + 1))
        spanned, share = ("random 1", first), (0.0, 0.0, 0.0)
        why = "A, B and π(B) are the same model; both axes are random directions, in units of ‖A‖."
    elif ab <= tolerance:
        unit, spanned, share = ac, ("pi_b", pi_b), (0.0, 0.0, 1.0)
        why = "A and B are the same model; the horizontal axis goes from A to π(B)"
    else:
        unit, spanned, share = ab, ("B", b), (0.0, 1.0, inner / ab**2)
        why = "A, B and π(B) lie on one line"
        if bc <= tolerance:
            share, why = (0.0, 1.0, 1.0), "π(B) is B itself: no unit had to move"
        elif ac <= tolerance:
            share, why = (0.0, 1.0, 0.0), "π(B) is A itself: B was a permuted copy of A"
    if not why.endswith("."):
        why += ", so the three span no plane; the vertical axis is a random direction."
    third = displaced(a, drawn, spanned[1], unit)
    return Span(("A", spanned[0], "random"), (a, spanned[1], third)), unit, share, why
