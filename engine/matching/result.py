"""What a matching method returns: the permutation, how the objective rose, why it stopped."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.symmetry import Permutation


class StopReason(Enum):
    """Why a method stopped; `sentence` says it to the user."""

    CONVERGED = "converged"
    MAX_SWEEPS = "max_sweeps"
    ALL_STEPS = "all_steps"
    ONE_PASS = "one_pass"
    CANCELLED = "cancelled"
    NO_SYMMETRY = "no_symmetry"

    @property
    def sentence(self) -> str:
        """One sentence for the user."""
        return _SENTENCES[self]


_SENTENCES = {
    StopReason.CONVERGED: "A whole sweep over all permutations brought no further gain.",
    StopReason.MAX_SWEEPS: "The largest allowed number of sweeps was reached; "
    "more sweeps may still improve the match.",
    StopReason.ALL_STEPS: "All steps were taken; the best permutation that came up is kept.",
    StopReason.ONE_PASS: "Every group was matched once; the method does not go back.",
    StopReason.CANCELLED: "The matching was cancelled; the best permutation so far is kept.",
    StopReason.NO_SYMMETRY: "The model has no permutation symmetry, so nothing can be matched.",
}


@dataclass(frozen=True)
class MatchResult:
    """The permutation that aligns b with a, and how it was found.

    Attributes:
        permutation: to be applied to b.
        objective: ⟨a, π(b)⟩ over the tensors that some permutation moves, without running
            statistics; rows summed in the working dtype, their sums in float64.
        objective_identity: the same for the identity.
        trace: objective of the best start before its first sweep and after each sweep, then of
            the best that is known after each escape; it never falls, and ends at `objective`
            up to the rounding of the working dtype.
            Methods that maximise something else say so in their own result.
        sweeps: number of sweeps of the best start, and of escapes from it, or of steps.
        restarts: final objective of each start; the first is anchored (`anchored.py`), or the
            identity where that is better; further ones are from activation matching where asked
            for, and random.
        stop_reason: why the best start stopped, or CANCELLED.
        seconds: wall time.
        method: the method's name.
        seed: seed of the visiting orders and of the random starts.
    """

    permutation: Permutation
    objective: float
    objective_identity: float
    trace: tuple[float, ...]
    sweeps: int
    restarts: tuple[float, ...]
    stop_reason: StopReason
    seconds: float
    method: str
    seed: int
