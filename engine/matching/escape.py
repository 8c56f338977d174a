"""A way out of local optima: disturb one group of the best that is known, and climb again.

Iterated local search (Lourenço, Martin and Stützle 2003). A climb from a random start must find
everything anew and ends about as high as any other; a climb from a disturbed optimum keeps what
is good, and as the costs are kept too, pays for what was disturbed alone. Nothing is lost: what
does not end higher is thrown away. Measured against random starts in docs/matching.md.
"""

from __future__ import annotations

import torch
from torch import Tensor

from engine.matching.descent import Climber, Descent, Progress
from engine.matching.problem import Problem
from engine.matching.result import StopReason

SHARE = 0.4
"""Of a group's units that are shuffled; measured. All of them are best in wide groups of random
networks, a tenth to a half in trained perceptrons."""


def escaped(
    problem: Problem,
    found: Descent,
    generator: torch.Generator,
    escapes: int,
    *,
    climber: Climber,
    max_sweeps: int = 100,
    progress: Progress | None = None,
) -> Descent:
    """Return the best optimum met on a number of escapes from one that was found.

    Args:
        problem: what is matched.
        found: a coordinate-wise optimum.
        generator: draws what is disturbed, and the order of each sweep.
        escapes: how often something is disturbed.
        climber: climbs on this problem.
        max_sweeps: at most this many sweeps after each disturbance.
        progress: called after each escape with its number and the best objective.

    Returns:
        The trace goes on with the best objective after each escape.
    """
    heads = {name: head for head, groups in problem.blocks.items() for name in groups}
    groups = [name for name, size in problem.sizes.items() if size > 1]
    best, trace, reason = found.perms, list(found.trace), found.stop_reason
    objective = problem.objective(found.perms)
    for number in range(1, (escapes if groups else 0) + 1):
        group = groups[int(torch.randint(len(groups), (), generator=generator))]
        start = {**best, group: shuffled(best[group], generator)}
        head = heads[group]
        climbed = climber.climb(
            start,
            generator,
            problem.objective(start),
            stale={head, *problem.neighbours[head]},
            max_sweeps=max_sweeps,
        )
        if (reached := problem.objective(climbed.perms)) > objective:
            best, objective = climbed.perms, reached
        trace.append(max(trace[-1], objective))
        reason = StopReason.ALL_STEPS
        if climbed.stop_reason is StopReason.CANCELLED:
            return Descent(best, tuple(trace), StopReason.CANCELLED)
        if progress is not None:
            progress(number, objective)
    return Descent(best, tuple(trace), reason)


def shuffled(p: Tensor, generator: torch.Generator) -> Tensor:
    """Return a permutation with a share of its units in another order, nested ones in one row.

    Args:
        p: int64 [n], or [copies, n] of a nested group.
        generator: draws them; it is on the CPU.
    """
    n = p.shape[-1]
    row = int(torch.randint(len(p), (), generator=generator)) if p.dim() == 2 else ...
    chosen = torch.randperm(n, generator=generator)[: max(2, round(SHARE * n))].to(p.device)
    same = torch.arange(len(chosen))
    order = torch.randperm(len(chosen), generator=generator)
    while len(chosen) > 1 and torch.equal(order, same):  # half of all draws where two are shuffled
        order = torch.randperm(len(chosen), generator=generator)
    found = p.clone()
    found[row, chosen] = p[row, chosen[order.to(p.device)]]
    return found
