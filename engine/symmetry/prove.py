"""The proof: random permutations of all groups leave the outputs of this very model alone.

Runs in float64 on random inputs; a Program lifts the casts to lower precisions inside the model
as well, since rounding is no part of the symmetry. Every second trial runs on
slightly jittered parameters, so that a branch that is silent in the given ones (a scale
initialised to zero) is not overlooked. A proof is refused, not passed, where it could not
see a difference: outputs that are not finite, or that do not depend on the inputs.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.errors import ProofError
from engine.program import Program
from engine.symmetry.permutation import Permutation
from engine.symmetry.symmetry import Symmetry

TOLERANCE = 1e-9
"""Relative, for float64: far above what reordering a sum does, far below any real change."""

JITTER = 0.1
MORE = 16
MOST_NAMES_SHOWN = 6


@dataclass(frozen=True)
class Proof:
    """The outcome of a proof."""

    passed: bool
    max_abs_difference: float
    relative: float
    """The largest difference over the largest output."""

    tolerance: float
    """What `relative` may reach."""

    trials: int
    seconds: float


def prove(
    program: Program,
    symmetry: Symmetry,
    params: Mapping[str, Tensor],
    *,
    trials: int = 2,
    batch: int = 4,
    seed: int = 0,
) -> Proof:
    """Prove a symmetry on one model.

    Args:
        program: the architecture.
        symmetry: derived from it.
        params: this model's parameters, of any precision.
        trials: random permutations of all groups at once.
        batch: random inputs per trial, two or more.
        seed: of permutations, inputs and jitter.

    Returns:
        What was found; without trials where there is no group.

    Raises:
        ProofError: a permutation changes the outputs (the groups that do are named), or the
            outputs are not finite, or do not depend on the inputs.
    """
    started = time.perf_counter()
    if not symmetry.groups:  # the identity alone: nothing moves, so nothing could go unseen
        return Proof(True, 0.0, 0.0, TOLERANCE, 0, time.perf_counter() - started)
    generator = torch.Generator().manual_seed(seed)
    exact = {name: _exact(tensor) for name, tensor in program.named(params).items()}
    absolute = relative = 0.0
    with torch.inference_mode():
        for number in range(trials):
            jittered = (_jittered(exact, generator),) if number % 2 else ()
            trial = _telling_trial(program, symmetry, (*jittered, exact), batch, generator)
            permutation = _stirred(symmetry, number, generator)
            found = trial.difference(permutation)
            if not found[1] <= TOLERANCE:
                raise ProofError(_failure(found[1], trial.guilty(permutation)))
            absolute, relative = max(absolute, found[0]), max(relative, found[1])
    seconds = time.perf_counter() - started
    return Proof(True, absolute, relative, TOLERANCE, trials, seconds)


def _stirred(symmetry: Symmetry, number: int, generator: torch.Generator) -> Permutation:
    """Return a permutation that leaves no group as it is.

    Drawn uniformly, every second group of two units would stay, and go unproved. So all units
    go round in one cycle of random order, or, in every second trial, all but one: the two
    kinds together leave no room for what holds for rotations or for even permutations alone.
    """
    moved = {}
    for group in symmetry.groups:
        staying = number % 2 if group.size > 2 else 0
        rows = []
        for _ in range(group.copies):
            order = torch.randperm(group.size, generator=generator)[staying:]
            row = torch.arange(group.size)
            row[order] = order.roll(1)
            rows.append(row)
        moved[group.name] = torch.stack(rows) if group.nested else rows[0]
    return Permutation(moved, symmetry.within)


def _telling_trial(
    program: Program,
    symmetry: Symmetry,
    candidates: tuple[Mapping[str, Tensor], ...],
    batch: int,
    generator: torch.Generator,
) -> _Trial:
    """Return the first trial in which a wrong permutation could be seen.

    A small batch may by chance reach no living unit of a tiny network: a larger one follows.
    """
    blindness = None
    for params in candidates:
        for size in (max(batch, 2), MORE * max(batch, 2)):
            inputs = program.sample_inputs(size, generator, dtype=torch.float64)
            outputs = program(params, *inputs)
            blindness = _blindness(outputs)
            if blindness is None:
                return _Trial(program, symmetry, params, inputs, outputs)
    raise ProofError(blindness)


@dataclass(frozen=True)
class _Trial:
    """One set of parameters and inputs with the outputs that no permutation may change."""

    program: Program
    symmetry: Symmetry
    params: Mapping[str, Tensor]
    inputs: tuple[Tensor, ...]
    outputs: Tensor

    def difference(self, permutation: Permutation) -> tuple[float, float]:
        """Return the largest difference, absolute and relative to the largest output."""
        permuted = self.program(self.symmetry.apply(permutation, self.params), *self.inputs)
        absolute = float((permuted - self.outputs).abs().max())
        return absolute, absolute / float(self.outputs.abs().max())

    def guilty(self, permutation: Permutation) -> list[str]:
        """Return the groups that change the outputs when they alone are permuted."""
        return [
            name
            for name in permutation
            if not self.difference(permutation.alone(name))[1] <= TOLERANCE
        ]


def _exact(tensor: Tensor) -> Tensor:
    return tensor.detach().to(device="cpu", dtype=torch.float64)


def _jittered(params: Mapping[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
    """Return the parameters with a tenth of their spread as noise; signs of variances kept."""
    result = {}
    for name, tensor in params.items():
        spread = tensor.square().mean().sqrt() if tensor.numel() else tensor.sum()
        scale = JITTER * (spread if spread > 0 else 1.0)
        noise = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
        moved = tensor + scale * noise
        result[name] = moved.abs() if bool((tensor >= 0).all()) else moved
    return result


def _blindness(outputs: Tensor) -> str | None:
    """Return why a wrong permutation could not be seen in some outputs, None if it could."""
    if not bool(outputs.isfinite().all()):
        share = float((~outputs.isfinite()).double().mean())
        return (
            f"{share:.0%} of the model's outputs on random inputs are not finite, so nothing "
            "can be proved; check the parameters for NaN, infinities or extreme scales"
        )
    spread = float((outputs - outputs[:1]).abs().max())
    if spread <= TOLERANCE * float(outputs.abs().max()):
        return (
            "the model's outputs do not depend on its inputs (dead units or zero weights), so "
            "a wrong permutation would go unseen and nothing can be proved"
        )
    return None


def _failure(relative: float, guilty: list[str]) -> str:
    shown = ", ".join(guilty[:MOST_NAMES_SHOWN]) or "only all together"
    more = len(guilty) - MOST_NAMES_SHOWN
    shown += f" and {more} more" if more > 0 else ""
    return (
        f"a permutation changed the outputs by {relative:.1e} of their size (allowed: "
        f"{TOLERANCE:.0e}); groups that do so alone: {shown}. The derived symmetry is wrong "
        "for this model, so nothing is shown; please report the architecture"
    )
