"""Many models in one frame: a permutation for each, and how they were found.

Each model has one permutation into a frame that all share, here the order of the first model's
units. What takes one model into another's order is put together of two of them, so that going
around any cycle of models leads back exactly: π_ab ∘ π_bc = π_ac (Crisostomi et al. 2024,
"C²M³", arXiv 2405.17897, section 3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.matching.result import StopReason
from engine.symmetry import Permutation


@dataclass(frozen=True)
class Alignment:
    """One permutation per model into a common frame.

    Attributes:
        permutations: to be applied to each model; the first is the identity.
        objective: Σ_{a<b} ⟨P_a A, P_b B⟩ over the tensors that some permutation moves, without
            running statistics; summed in float64.
        objective_identity: the same with every model as it is.
        trace: objective at the start and after each round; it never falls, up to the rounding of
            the working dtype. For a method of two models, before and after.
        rounds: how often every model was looked at.
        stop_reason: why it stopped.
        seconds: wall time.
        method: key of MERGES.
        seed: seed of the visiting orders.
    """

    permutations: tuple[Permutation, ...]
    objective: float
    objective_identity: float
    trace: tuple[float, ...]
    rounds: int
    stop_reason: StopReason
    seconds: float
    method: str
    seed: int

    def between(self, a: int, b: int) -> Permutation:
        """Return π_ab, which brings model number b into the order of model number a."""
        return self.permutations[a].inverse().compose(self.permutations[b])


def in_first_order(permutations: Sequence[Permutation]) -> tuple[Permutation, ...]:
    """Return the same alignment in the frame of the first model's own order."""
    back = permutations[0].inverse()
    return tuple(back.compose(permutation) for permutation in permutations)
