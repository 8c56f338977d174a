"""One method inside a comparison of methods: its matching, the check of π(B), and its lines.

What one method cannot do is a sentence in its own row; the others go on.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from torch import Tensor

from engine.errors import BasinscopeError, CancelledError
from engine.studies.methods_alignment import Found, digest_of, find
from engine.studies.methods_lines import Lines
from engine.studies.methods_options import MethodChoice
from engine.studies.methods_progress import MethodsProgress
from engine.studies.subject import Subject
from engine.symmetry import Equivalence, Permutation, Symmetry, equivalence

Curve = Mapping[str, np.ndarray]

Value = TypeVar("Value")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trial:
    """What became of one method.

    Args:
        title: of the method.
        choice: the method and its options; None for the line from A to B as they are.
        found: its matching; None where it failed, and for the line as it is.
        permutation: what it found, the identity for the line as it is; None where it failed.
        same: how far π(B) is from B on real data.
        digest: of the permutation.
        curves: (variant, split) → values per λ; variants that failed are absent.
        problems: variant → why it failed.
        problem: why there is nothing at all.
        seconds: that the lines took.
    """

    title: str
    choice: MethodChoice | None
    found: Found | None = None
    permutation: Permutation | None = None
    same: Equivalence | None = None
    digest: str = ""
    curves: Mapping[tuple[str, str], Curve] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)
    problem: str | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class Trials:
    """Tries methods on one pair.

    Args:
        subject: the pair.
        symmetry: of its Program.
        lines: evaluate the lines.
        variants: name → keys of repairs.
        seed: of the methods.
        progress: told how far each is.
    """

    subject: Subject
    symmetry: Symmetry
    lines: Lines
    variants: Mapping[str, tuple[str, ...]]
    seed: int
    progress: MethodsProgress

    def run(self, name: str, title: str, choice: MethodChoice | None) -> Trial:
        """Try one method.

        Args:
            name: its id in the result.
            title: how a sentence calls it.
            choice: the method and its options; None for the line as it is.

        Raises:
            CancelledError: asked to stop.
        """
        trial, problem = attempt(lambda: self._run(name, title, choice))
        trial = trial or Trial(title, choice, problem=problem)
        self.progress.end(name, trial.problem)
        return trial

    def _run(self, name: str, title: str, choice: MethodChoice | None) -> Trial:
        found, permutation = None, self.symmetry.identity()
        if choice is not None:
            found = find(
                choice,
                self.subject,
                self.symmetry,
                self.lines.data["train"],
                self.lines.cache,
                seed=self.seed,
                progress=lambda share: self.progress.match(name, share),
                should_stop=self.lines.should_stop,
                device=self.lines.device,
            )
            permutation = found.alignment.permutation
        began = time.perf_counter()
        b = self.subject.b.tensors
        pi_b = self.symmetry.apply(permutation, b)
        inputs = self.lines.data["test"].inputs
        same = equivalence(self.subject.program, b, pi_b, inputs) if choice else None
        digest = digest_of(permutation)
        curves, problems = self._curves(name, digest, pi_b)
        return Trial(
            title=title,
            choice=choice,
            found=found,
            permutation=permutation,
            same=same,
            digest=digest,
            curves=curves,
            problems=problems,
            seconds=time.perf_counter() - began,
        )

    def _curves(
        self, name: str, digest: str, pi_b: Mapping[str, Tensor]
    ) -> tuple[dict[tuple[str, str], Curve], dict[str, str]]:
        """Return the lines of every variant, and why some have none."""
        # The Program's tensors alone: step counters may be in only one of the checkpoints.
        own = self.subject.program.parameters
        a = {key: self.subject.a.tensors[key] for key in own}
        ends = (a, {key: pi_b[key] for key in own})
        curves: dict[tuple[str, str], Curve] = {}
        problems: dict[str, str] = {}
        for variant, repairs in self.variants.items():
            file_name = f"{digest}-{variant.replace('+', '.')}"

            found, problem = attempt(
                lambda repairs=repairs, file_name=file_name: self.lines.curves(
                    ends, file_name, repairs, lambda more: self.progress.points(name, more)
                )
            )
            curves |= {(variant, split): curve for split, curve in (found or {}).items()}
            if problem is not None:
                problems[variant] = problem
        return curves, problems


def attempt(work: Callable[[], Value]) -> tuple[Value | None, str | None]:
    """Return what work returns and no problem, or nothing and why it failed.

    Raises:
        CancelledError: asked to stop, which is no failure.
    """
    try:
        return work(), None
    except CancelledError:
        raise
    except BasinscopeError as error:
        return None, str(error)
    except MemoryError:
        return None, "Memory ran out; take fewer samples or a smaller network."
    except Exception as error:  # hours of other methods' work must not be lost to one
        _log.exception("a method failed")
        return None, f"It failed unexpectedly: {type(error).__name__}: {error}"[:500]
