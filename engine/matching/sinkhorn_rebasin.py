"""Sinkhorn re-basin: permutations learnt by gradients through Sinkhorn's operator.

Peña et al. 2023 (arXiv 2212.12042): each permutation is a doubly stochastic matrix S(X) of free
values X, 20 iterations at temperature 1, and the X follow Adam at a rate of .1 from the identity
with a little noise. What is learnt is one of two:

- *weights*: ⟨a, P(b)⟩ is maximised, which at permutations is the same as the authors' squared
  distance; between them the distance also rewards mixing units, and leads to worse ends. The
  permutations nearest to where it ends are improved by coordinate descent.
- *midpoint*: the loss at ½(a + P(b)) on batches is minimised; needs inputs and targets. Of the
  nearest permutations on the way, the one with the lowest loss on the judging samples is kept.

Nested groups are relaxed as well (see `relaxation.py`). The authors' third objective, a random
point of the line, is left out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from engine.errors import MatchingError
from engine.matching.descent import coordinate_descent
from engine.matching.midpoint import Midpoints, batches, check_data
from engine.matching.problem import Problem
from engine.matching.relaxation import Relaxation
from engine.matching.result import MatchResult, StopReason
from engine.matching.settle import settled
from engine.matching.sinkhorn import sinkhorn
from engine.symmetry import Perms, Permutation

if TYPE_CHECKING:
    from engine.program import Program
    from engine.symmetry import Symmetry

METHOD = "sinkhorn"
Objective = Literal["weights", "midpoint"]
OBJECTIVES: tuple[Objective, ...] = ("weights", "midpoint")

NOISE = 0.1
"""Of X around the identity at the start, as in the authors' code."""

LOOKED_AT_EVERY = 10
"""Steps from one look at the nearest permutations to the next."""


@dataclass(frozen=True)
class SinkhornMatch(MatchResult):
    """A MatchResult of Sinkhorn re-basin; `sweeps` counts the steps.

    Attributes:
        trace: ⟨a, π(b)⟩ of the identity and of the best permutations at each look, so far;
            where the weights are learnt it never falls; the last one is `objective`.
        learnt: "weights" or "midpoint".
        relaxed: before each step ⟨a, P(b)⟩ of the mixtures, or their midpoint's loss on a batch.
        losses: for the midpoint the loss of the nearest permutations at each look.
    """

    learnt: str
    relaxed: tuple[float, ...]
    losses: tuple[float, ...]


def match_sinkhorn(
    program: Program,
    symmetry: Symmetry,
    a: Mapping[str, Tensor],
    b: Mapping[str, Tensor],
    inputs: Tensor | tuple[Tensor, ...] | None = None,
    targets: Tensor | None = None,
    *,
    learnt: Objective = "weights",
    steps: int = 100,
    rate: float = 0.1,
    temperature: float = 1.0,
    iterations: int = 20,
    batch_size: int = 500,
    judged_on: int = 2000,
    seed: int = 0,
    progress: Callable[[int, float], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    device: torch.device | str = "cpu",
) -> SinkhornMatch:
    """Return the permutation of b that is learnt through Sinkhorn's operator.

    Args:
        program: the model.
        symmetry: its permutation groups.
        a: reference parameters by name.
        b: parameters to be permuted.
        inputs: for the midpoint, one tensor [samples, *shape] per input of the program.
        targets: for the midpoint: classes [N], tokens [N, T] or values [N, …].
        learnt: "weights" or "midpoint".
        steps: of Adam, at least 1.
        rate: of Adam, above 0.
        temperature: of Sinkhorn's operator, above 0.
        iterations: of Sinkhorn's operator, at least 1.
        batch_size: samples per step.
        judged_on: at most so many samples judge the permutations.
        seed: of the first X, the batches, the judging samples and the visiting orders.
        progress: called after each step with its number and what it learns.
        should_stop: asked before each step; the best so far is returned.
        device: where everything runs.

    Raises:
        MatchingError: options, models or data do not fit, or the loss is not finite.
        NonFiniteError: a model holds NaN or infinite values.
    """
    began = time.perf_counter()
    counts = {"steps": steps, "iterations": iterations, "batch_size": batch_size}
    _check_options(learnt, rate, temperature, counts | {"judged_on": judged_on})
    generator = torch.Generator().manual_seed(seed)
    pair = Midpoints(program, symmetry, a, b, torch.device(device))
    problem = pair.problem(pair.a)
    relaxation = Relaxation(problem, pair.a, pair.b)
    goal: _Weights | _Midpoint
    if learnt == "weights":
        goal = _Weights(problem, relaxation)
    else:
        if inputs is None or targets is None:
            raise MatchingError("the loss of the midpoint needs inputs and targets")
        given = inputs if isinstance(inputs, tuple) else (inputs,)
        check_data("Sinkhorn re-basin", given, targets)
        goal = _Midpoint(pair, relaxation, given, targets, batch_size, judged_on, generator)
    search = _Search(problem, relaxation, goal, generator, temperature, iterations)
    adam = torch.optim.Adam(search.free.values(), lr=rate) if symmetry.groups else None
    reason = StopReason.NO_SYMMETRY if adam is None else StopReason.ALL_STEPS
    for step in range(1, steps + 1):
        if adam is None:
            break
        if should_stop is not None and should_stop():
            reason = StopReason.CANCELLED
            break
        search.step(adam)
        if step % LOOKED_AT_EVERY == 0 or step == steps:
            search.look()
        if progress is not None:
            progress(step, search.relaxed[-1])
    perms = goal.finished(search.best, generator, reason)
    objective = problem.objective(perms)
    return SinkhornMatch(
        permutation=Permutation(perms, symmetry.within),
        objective=objective,
        objective_identity=search.trace[0],
        trace=(*search.trace, objective),
        sweeps=len(search.relaxed),
        restarts=(objective,),
        stop_reason=reason,
        seconds=time.perf_counter() - began,
        method=METHOD,
        seed=seed,
        learnt=learnt,
        relaxed=tuple(search.relaxed),
        losses=tuple(goal.losses),
    )


class _Weights:
    """Maximise ⟨a, P(b)⟩."""

    def __init__(self, problem: Problem, relaxation: Relaxation) -> None:
        self._problem = problem
        self._relaxation = relaxation
        self.losses: list[float] = []

    def slopes(self, matrices: dict[str, Tensor]) -> tuple[float, dict[str, Tensor]]:
        """Return the objective, and by how much it falls with each matrix."""
        value, slopes = self._relaxation.slopes(matrices)
        return value, {name: -slope for name, slope in slopes.items()}

    def worth(self, perms: Perms) -> float:
        """Return how good permutations are."""
        return self._problem.objective(perms)

    def finished(
        self, best: Perms, generator: torch.Generator, reason: StopReason
    ) -> Mapping[str, Tensor]:
        """Return the best permutations, improved until no single one gains."""
        if reason is not StopReason.ALL_STEPS:
            return best
        with torch.inference_mode():
            descent = coordinate_descent(self._problem, best, generator)
            found = settled(self._problem, descent.perms)
        return {name: p.clone() for name, p in found.items()}


class _Midpoint:
    """Minimise the loss at ½(a + P(b))."""

    def __init__(
        self,
        pair: Midpoints,
        relaxation: Relaxation,
        inputs: tuple[Tensor, ...],
        targets: Tensor,
        batch_size: int,
        judged_on: int,
        generator: torch.Generator,
    ) -> None:
        self._pair = pair
        self._relaxation = relaxation
        self._given = (inputs, targets)
        self._batch_size = batch_size
        chosen = torch.randperm(len(targets), generator=generator)[:judged_on]
        self._judges = pair.batch(inputs, targets, chosen)
        self._batches: Iterator[Tensor] = batches(len(targets), batch_size, generator)
        self._unmoved = pair.midpoint(relaxation.problem.identity())
        self.losses: list[float] = []

    def slopes(self, matrices: dict[str, Tensor]) -> tuple[float, dict[str, Tensor]]:
        """Return the loss of a batch, and by how much it rises with each matrix."""
        batch = self._pair.batch(*self._given, next(self._batches))
        leaves = {name: matrix.detach().requires_grad_() for name, matrix in matrices.items()}
        with torch.enable_grad():
            mixed = self._relaxation.restored(leaves)
            halves = {name: (self._pair.a[name] + tensor) / 2 for name, tensor in mixed.items()}
            loss = self._pair.loss(self._unmoved | halves, batch)
        if not bool(loss.isfinite()):
            raise MatchingError(
                f"the midpoint's loss became {float(loss)}; look at the data and both models"
            )
        found = torch.autograd.grad(loss, list(leaves.values()), materialize_grads=True)
        return float(loss.detach()), dict(zip(leaves, found, strict=True))

    def worth(self, perms: Perms) -> float:
        """Return how good permutations are: minus their midpoint's loss."""
        self.losses.append(self._pair.mean_loss(perms, self._judges, self._batch_size))
        return -self.losses[-1]

    def finished(
        self, best: Perms, generator: torch.Generator, reason: StopReason
    ) -> Mapping[str, Tensor]:
        """Return the best permutations."""
        del generator, reason
        return best


class _Search:
    """The free values on their way, and the best permutations near them."""

    def __init__(
        self,
        problem: Problem,
        relaxation: Relaxation,
        goal: _Weights | _Midpoint,
        generator: torch.Generator,
        temperature: float,
        iterations: int,
    ) -> None:
        self._problem, self._relaxation, self._goal = problem, relaxation, goal
        self._operator = (temperature, iterations)
        identity = problem.identity()
        self.free = {
            name: (corner + NOISE * torch.randn(corner.shape, generator=generator).to(corner))
            .detach()
            .requires_grad_()
            for name, corner in relaxation.corner(identity).items()
        }
        self.best = self._seen = identity
        self._worth = goal.worth(identity)
        self.trace = [problem.objective(identity)]
        self.relaxed: list[float] = []

    def step(self, adam: torch.optim.Optimizer) -> None:
        """Move the free values along the derivative."""
        with torch.enable_grad():
            matrices = {name: sinkhorn(x, *self._operator) for name, x in self.free.items()}
        value, slopes = self._goal.slopes({name: m.detach() for name, m in matrices.items()})
        self.relaxed.append(value)
        adam.zero_grad()
        torch.autograd.backward(list(matrices.values()), [slopes[name] for name in matrices])
        adam.step()

    def look(self) -> None:
        """See how good the nearest permutations are; keep the best."""
        with torch.no_grad():
            matrices = {name: sinkhorn(x, *self._operator) for name, x in self.free.items()}
        nearest = self._relaxation.nearest(matrices)
        if any(not torch.equal(p, self._seen[name]) for name, p in nearest.items()):
            self._seen = nearest
            worth = self._goal.worth(nearest)
            if worth > self._worth:
                self.best, self._worth = nearest, worth
        self.trace.append(self._problem.objective(self.best))


def _check_options(learnt: str, rate: float, temperature: float, counts: Mapping[str, int]) -> None:
    if learnt not in OBJECTIVES:
        raise MatchingError(f"learnt is one of {', '.join(OBJECTIVES)}, not {learnt!r}")
    for option, value in (("rate", rate), ("temperature", temperature)):
        if not 0 < value < float("inf"):
            raise MatchingError(f"{option} must be above 0, not {value}")
    for option, count in counts.items():
        if count < 1:
            raise MatchingError(f"{option} must be at least 1, not {count}")
