"""The proof: random permutations of all groups leave the outputs of this very model alone.

Runs in float64 on random inputs; a Program lifts the casts to lower precisions inside the model
as well, since rounding is no part of the symmetry. Every trial but the first runs on
slightly jittered parameters, so that a branch that is silent in the given ones (a scale
initialised to zero) is not overlooked. A proof is refused, not passed, where it could not
see a difference: outputs that are not finite, or that do not depend on the inputs.

Nearly all of the time goes into running the model, four times at least: each trial runs it as
it is and permuted. Parameters are jittered and permuted in the precision in which they are
given, which takes a fraction of the time and memory, and lifted to float64 for each run.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import factorial, prod

import torch
from torch import Tensor

from engine.errors import ProofError
from engine.program import Program
from engine.symmetry.permutation import Permutation
from engine.symmetry.symmetry import Symmetry

TOLERANCE = 1e-9
"""Relative, for float64: far above what reordering a sum does, far below any real change."""

JITTER = 0.1
LARGE = 20
"""Groups of so many units move differently without further ado."""

SAMPLES, FEWER_SAMPLES = 4, 2
MANY_NUMBERS = 1_000_000
"""Models with so many parameters and input numbers need fewer samples: in theirs, more values
are looked at than in all samples of a small one, where units are easily dead by chance."""

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
    batch: int | None = None,
    seed: int = 0,
) -> Proof:
    """Prove a symmetry on one model.

    Args:
        program: the architecture.
        symmetry: derived from it.
        params: this model's parameters, of any precision.
        trials: random permutations of all groups at once; more where groups are very small.
        batch: random inputs per trial, two or more; by default four, for large models two.
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
    batch = max(_samples(program) if batch is None else batch, FEWER_SAMPLES)
    given = {name: _working(tensor) for name, tensor in program.named(params).items()}
    absolute = relative = 0.0
    with torch.inference_mode():
        plan = _plan(symmetry, trials, generator)
        for number, permutation in enumerate(plan):
            jittered = (_jittered(given, generator),) if number else ()
            trial = _telling_trial(program, symmetry, (*jittered, given), batch, generator)
            found = trial.difference(permutation)
            if not found[1] <= TOLERANCE:
                raise ProofError(_failure(found[1], trial.guilty(permutation)))
            absolute, relative = max(absolute, found[0]), max(relative, found[1])
    seconds = time.perf_counter() - started
    return Proof(True, absolute, relative, TOLERANCE, len(plan), seconds)


def _plan(symmetry: Symmetry, trials: int, generator: torch.Generator) -> list[Permutation]:
    """Return the permutations of all trials, as many as asked for or more.

    Drawn at random alone, a group of two units would stay where it is in every second trial,
    and two such groups would move alike: neither would be proved, nor that they are two. So,
    the first trial left aside, every group moves and no two groups of one size (rows, if they
    are nested) do so alike in all trials; where the groups are small this takes some more.
    """
    counts: Counter[int] = Counter()
    for group in symmetry.groups:
        counts[min(group.size, LARGE)] += group.copies
    while any(factorial(size) ** (trials - 1) <= count for size, count in counts.items()):
        trials += 1
    taken: set[tuple[int, ...]] = set()
    vectors = {
        group.name: torch.stack(
            [_word(group.size, trials, taken, generator) for _ in range(group.copies)], 1
        )
        for group in symmetry.groups
    }
    return [
        Permutation(
            {
                g.name: vectors[g.name][n] if g.nested else vectors[g.name][n, 0]
                for g in symmetry.groups
            },
            symmetry.within,
        )
        for n in range(trials)
    ]


def _word(
    size: int, trials: int, taken: set[tuple[int, ...]], generator: torch.Generator
) -> Tensor:
    """Return one permutation per trial, shape [trials, size], all together like no other."""
    still = tuple(range(size)) * (trials - 1)
    while True:
        word = torch.stack([torch.randperm(size, generator=generator) for _ in range(trials)])
        key = tuple(word[1:].flatten().tolist())
        if key != still and key not in taken:
            taken.add(key)
            return word


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
        for size in (batch, MORE * batch):
            inputs = program.sample_inputs(size, generator, dtype=torch.float64)
            outputs = _run(program, params, inputs)
            blindness = _blindness(outputs)
            if blindness is None:
                return _Trial(program, symmetry, params, inputs, outputs)
            if not bool(outputs.isfinite().all()):
                break
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
        permuted = self.symmetry.apply(permutation, self.params)
        outputs = _run(self.program, permuted, self.inputs)
        absolute = float((outputs - self.outputs).abs().max())
        return absolute, absolute / float(self.outputs.abs().max())

    def guilty(self, permutation: Permutation) -> list[str]:
        """Return the groups that change the outputs when they alone are permuted."""
        return [
            name
            for name in permutation
            if not self.difference(permutation.alone(name))[1] <= TOLERANCE
        ]


def _samples(program: Program) -> int:
    numbers = sum(prod(spec.shape) for spec in (*program.parameters.values(), *program.inputs))
    return FEWER_SAMPLES if numbers >= MANY_NUMBERS else SAMPLES


def _working(tensor: Tensor) -> Tensor:
    """Return a parameter on the CPU, in float32 where that holds it exactly, else in float64."""
    short = tensor.is_floating_point() and tensor.itemsize <= torch.float32.itemsize
    return tensor.detach().to(device="cpu", dtype=torch.float32 if short else torch.float64)


def _run(program: Program, params: Mapping[str, Tensor], inputs: tuple[Tensor, ...]) -> Tensor:
    """Return the outputs in float64."""
    return program({name: tensor.double() for name, tensor in params.items()}, *inputs)


def _jittered(params: Mapping[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
    """Return the parameters with a tenth of their spread as noise; signs of variances kept."""
    result = {}
    for name, tensor in params.items():
        length = float(torch.linalg.vector_norm(tensor, dtype=torch.float64))
        scale = JITTER * (length / tensor.numel() ** 0.5 if length > 0 else 1.0)
        moved = torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype)
        moved.mul_(scale).add_(tensor)
        result[name] = moved.abs_() if bool((tensor >= 0).all()) else moved
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
            "a wrong permutation would go unseen and nothing can be proved; take a network that "
            "was trained"
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
