"""Steepest descent: the permuted b that lies most nearly where a's loss falls.

For the record, as one of the ways that Git Re-Basin (Ainsworth et al. 2022, arXiv 2209.04836)
reports as not working: to first order the loss at a falls by ⟨−∇L(a), π(b) − a⟩ on the way to
π(b), so ⟨−∇L(a), π(b)⟩ is maximised as weight matching maximises ⟨a, π(b)⟩. At the end of a
training ∇L(a) is mostly noise, and nothing says that b lies near a; so even b = π(a) is not
put back.

Needs inputs and targets. BatchNorms use their batch's statistics.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from engine.errors import MatchingError
from engine.matching.descent import coordinate_descent
from engine.matching.midpoint import Midpoints, check_data
from engine.matching.result import MatchResult, StopReason
from engine.symmetry import Permutation

if TYPE_CHECKING:
    from engine.program import Program
    from engine.symmetry import Symmetry

METHOD = "steepest"


@dataclass(frozen=True)
class SteepestDescentMatch(MatchResult):
    """A MatchResult of steepest descent; `trace` follows ⟨−∇L(a), π(b)⟩ and never falls.

    Attributes:
        loss: of a on the samples.
        slope_length: ‖∇L(a)‖ over the parameters that some permutation moves.
    """

    loss: float
    slope_length: float


def match_steepest(
    program: Program,
    symmetry: Symmetry,
    a: Mapping[str, Tensor],
    b: Mapping[str, Tensor],
    inputs: Tensor | tuple[Tensor, ...],
    targets: Tensor,
    *,
    batch_size: int = 250,
    max_sweeps: int = 100,
    seed: int = 0,
    progress: Callable[[int, float], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    device: torch.device | str = "cpu",
) -> SteepestDescentMatch:
    """Return the permutation of b that lies most along the negative gradient at a.

    Args:
        program: the model.
        symmetry: its permutation groups.
        a: reference parameters by name.
        b: parameters to be permuted.
        inputs: one tensor [samples, *shape] per input of the program.
        targets: of the samples: classes [N], tokens [N, T] or values [N, …].
        batch_size: samples at a time; without BatchNorms it changes the result by rounding only.
        max_sweeps: at most this many sweeps over all permutations.
        seed: of the visiting orders.
        progress: called after each sweep with its number and the inner product.
        should_stop: asked before each batch and group; the best so far is returned.
        device: where everything runs.

    Raises:
        MatchingError: options, models or data do not fit, or the gradient is not finite.
        NonFiniteError: a model holds NaN or infinite values.
    """
    for option, value in (("batch_size", batch_size), ("max_sweeps", max_sweeps)):
        if value < 1:
            raise MatchingError(f"{option} must be at least 1, not {value}")
    began = time.perf_counter()
    given = inputs if isinstance(inputs, tuple) else (inputs,)
    check_data("steepest descent", given, targets)
    pair = Midpoints(program, symmetry, a, b, torch.device(device))
    loss, slopes = _gradient(pair, (*given, targets), batch_size, should_stop)
    length = sum(float(s.double().square().sum()) for s in slopes.values()) ** 0.5
    with torch.inference_mode():
        problem = pair.problem({name: -slope for name, slope in slopes.items()})
        identity = problem.identity()
        descent = coordinate_descent(
            problem,
            identity,
            torch.Generator().manual_seed(seed),
            max_sweeps=max_sweeps,
            progress=progress,
            should_stop=should_stop,
        )
        objective = pair.objective(descent.perms)
        return SteepestDescentMatch(
            permutation=Permutation(descent.perms, symmetry.within),
            objective=objective,
            objective_identity=pair.objective(identity),
            trace=descent.trace,
            sweeps=descent.sweeps,
            restarts=(objective,),
            stop_reason=descent.stop_reason if symmetry.groups else StopReason.NO_SYMMETRY,
            seconds=time.perf_counter() - began,
            method=METHOD,
            seed=seed,
            loss=loss,
            slope_length=length,
        )


def _gradient(
    pair: Midpoints,
    samples: tuple[Tensor, ...],
    batch_size: int,
    should_stop: Callable[[], bool] | None,
) -> tuple[float, dict[str, Tensor]]:
    """Return a's mean loss and its gradient; where it is to stop, of the samples so far."""
    slopes = {name: torch.zeros_like(pair.a[name]) for name in pair.moved}
    leaves = {name: pair.a[name].clone().requires_grad_() for name in pair.moved}
    losses, done, places = 0.0, 0, torch.arange(len(samples[-1]))
    for chosen in places.split(batch_size):
        if should_stop is not None and should_stop():
            break
        batch = pair.batch(samples[:-1], samples[-1], chosen)
        with torch.enable_grad():
            loss = pair.loss(pair.a | leaves, batch) * len(chosen)
        if not bool(loss.isfinite()):
            raise MatchingError(
                f"the loss of a is {float(loss.detach())}; look at the data and the model"
            )
        wanted = list(leaves.values())
        found = torch.autograd.grad(loss, wanted, materialize_grads=True) if wanted else ()
        slopes = {n: s + more for (n, s), more in zip(slopes.items(), found, strict=True)}
        losses, done = losses + float(loss.detach()), done + len(chosen)
    if not done:
        return float("nan"), slopes
    return losses / done, {name: slope / done for name, slope in slopes.items()}
