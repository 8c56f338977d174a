"""A plane from part of its points: what to evaluate next, what follows from it, how far off."""

from engine.landscape.progressive.estimate import Estimate, estimate
from engine.landscape.progressive.known import ESTIMATED, FULL, QUANTITIES, SAMPLED, Known
from engine.landscape.progressive.refine import Round, next_round
from engine.landscape.progressive.sample import draw_sample
from engine.landscape.progressive.scatter import coefficients_at, sobol_points
from engine.landscape.progressive.stop import P95_SHARE, StopReason

__all__ = [
    "ESTIMATED",
    "FULL",
    "P95_SHARE",
    "QUANTITIES",
    "SAMPLED",
    "Estimate",
    "Known",
    "Round",
    "StopReason",
    "coefficients_at",
    "draw_sample",
    "estimate",
    "next_round",
    "sobol_points",
]
