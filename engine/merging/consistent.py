"""Cycle-consistent matching: all pairs are matched, put together, and improved together.

What pairwise matchings say around a cycle of models contradicts itself as a rule. Here each
model gets one permutation into a common frame instead, so that no cycle can contradict, as in
C²M³ (Crisostomi et al. 2024, arXiv 2405.17897), which relaxes the permutations and climbs by
Frank–Wolfe steps. We synchronise matchings of all pairs: along the spanning tree of the most
alike pairs and along the star around each model, and climb the same objective from the best of
these, Σ_{a<b} ⟨P_a A, P_b B⟩, by coordinate ascent. N(N − 1)/2 matchings of two models are the
price.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from engine.matching.descent import Climber
from engine.matching.result import StopReason
from engine.matching.weight_matching import first_start
from engine.merging.alignment import Alignment, in_first_order
from engine.merging.ascent import ascend
from engine.merging.joint import Joint
from engine.merging.many import MOST_ROUNDS, MOST_SWEEPS, check_limits
from engine.merging.methods import CONSISTENT
from engine.symmetry import Permutation

if TYPE_CHECKING:
    from engine.program import Program
    from engine.symmetry import Symmetry

Progress = Callable[[float], None]
ShouldStop = Callable[[], bool]
Edge = tuple[int, int]

PAIRS_SHARE = 0.6
"""What part of the work the pairs are held to be."""

SWEEPS_PER_VISIT = 2
"""The other models move meanwhile: looking at each one shortly and often ends sooner."""


def match_consistently(
    program: Program,
    symmetry: Symmetry,
    models: Sequence[Mapping[str, Tensor]],
    *,
    seed: int = 0,
    max_rounds: int = MOST_ROUNDS,
    max_sweeps: int = MOST_SWEEPS,
    progress: Progress | None = None,
    should_stop: ShouldStop | None = None,
    device: torch.device | str = "cpu",
) -> Alignment:
    """Return a permutation of each model into one frame, found from matchings of all pairs.

    Args: as `merge_many`.

    Raises:
        MatchingError: the models do not fit, or an option makes no sense.
        NonFiniteError: a model holds NaN or infinite values.
    """
    check_limits(max_rounds, max_sweeps)
    began = time.perf_counter()
    generator = torch.Generator().manual_seed(seed)
    with torch.inference_mode():
        joint = Joint(program, symmetry, models, device)
        identity = joint.objective(joint.identity())
        pairs, cancelled = _match_pairs(joint, generator, max_sweeps, progress, should_stop)
        start = joint.identity() if cancelled else max(starts(joint, pairs), key=joint.objective)
        found = ascend(
            joint,
            start,
            generator,
            max_rounds=max_rounds,
            max_sweeps=min(SWEEPS_PER_VISIT, max_sweeps),
            progress=None if progress is None else lambda d: progress(_after_pairs(d)),
            should_stop=should_stop,
        )
    if progress is not None:
        progress(1.0)
    return Alignment(
        permutations=in_first_order(found.permutations),
        objective=found.objective,
        objective_identity=identity,
        trace=found.trace,
        rounds=len(found.trace) - 1,
        stop_reason=found.stop_reason,
        seconds=time.perf_counter() - began,
        method=CONSISTENT,
        seed=seed,
    )


def starts(joint: Joint, pairs: Mapping[Edge, Permutation]) -> list[list[Permutation]]:
    """Return the alignments along the tree of the most alike pairs and along each star.

    Args:
        joint: the models.
        pairs: (a, b) with a < b → what brings b into the order of a.
    """
    count = len(joint)
    lengths = [joint.norm(number) for number in range(count)]
    likeness = {
        (a, b): joint.pair(a, b).objective(
            {name: p.to(joint.device) for name, p in permutation.items()}
        )
        / (lengths[a] * lengths[b] or 1.0)
        for (a, b), permutation in pairs.items()
    }
    stars = [[(hub, other) for other in range(count) if other != hub] for hub in range(count)]
    return [along(joint, pairs, edges) for edges in (spanning_tree(count, likeness), *stars)]


def spanning_tree(count: int, likeness: Mapping[Edge, float]) -> list[Edge]:
    """Return the edges (known, new) of the tree with the largest sum, grown from model 0."""
    known, edges = [0], []
    while len(known) < count:
        edge = max(
            ((u, v) for u in known for v in range(count) if v not in known),
            key=lambda e: likeness[min(e), max(e)],
        )
        known.append(edge[1])
        edges.append(edge)
    return edges


def along(
    joint: Joint, pairs: Mapping[Edge, Permutation], edges: Sequence[Edge]
) -> list[Permutation]:
    """Return the alignment that follows the edges (known, new) of a tree from its root."""
    into = {edges[0][0]: joint.symmetry.identity()}
    for known, new in edges:
        step = pairs[known, new] if known < new else pairs[new, known].inverse()
        into[new] = into[known].compose(step)
    return [into[number] for number in range(len(joint))]


def _match_pairs(
    joint: Joint,
    generator: torch.Generator,
    max_sweeps: int,
    progress: Progress | None,
    should_stop: ShouldStop | None,
) -> tuple[dict[Edge, Permutation], bool]:
    """Return what brings b into the order of a for every a < b, and whether it was cancelled."""
    edges = [(a, b) for a in range(len(joint)) for b in range(a + 1, len(joint))]
    pairs: dict[Edge, Permutation] = {}
    for number, (a, b) in enumerate(edges, start=1):
        problem = joint.pair(a, b)
        with Climber(problem, should_stop=should_stop) as climber:
            start, objective = first_start(climber)
            found = climber.climb(start, generator, objective, max_sweeps=max_sweeps)
        if found.stop_reason is StopReason.CANCELLED:
            return pairs, True
        vectors = {name: p.cpu() for name, p in found.perms.items()}
        pairs[a, b] = Permutation(vectors, joint.symmetry.within)
        if progress is not None:
            progress(PAIRS_SHARE * number / len(edges))
    return pairs, False


def _after_pairs(done: float) -> float:
    return PAIRS_SHARE + (1 - PAIRS_SHARE) * done
