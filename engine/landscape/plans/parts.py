"""A Program made ready for many points: cut, folded, laid out, reusing memory; once per Program."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from engine.landscape.plans.channels import channel_weights, without_views
from engine.landscape.plans.cut import Cut, cut
from engine.landscape.plans.fold import Fold, folded
from engine.landscape.plans.hoist import Hoisting, hoisting
from engine.landscape.plans.reuse import reusing
from engine.program import Program


@dataclass(frozen=True)
class Parts:
    """What runs instead of a Program.

    Attributes:
        first: what is computed once per model; None where nothing is.
        rest: what is computed per point, after the folds.
        folds: how a point's tensors are changed before `rest`, in order.
        norms: BatchNorms of the Program.
        whole: the Program itself, fit for the layout; it recomputes statistics.
        weights: names of the tensors laid out with channels last.
        hoisting: what `first` saves.
        stacked: whether `rest` takes several points at once.
    """

    first: Program | None
    rest: Program
    folds: tuple[Fold, ...]
    norms: int
    whole: Program
    weights: frozenset[str]
    hoisting: Hoisting
    stacked: bool

    @property
    def formed(self) -> frozenset[str]:
        """The tensors that a point needs: those of `rest` and of the folds before it."""
        return frozenset(self.rest.parameters).union(*(fold.reads for fold in self.folds))

    @property
    def sentence(self) -> str:
        """How points are computed, for the provenance of a result; may be empty for stacks."""
        done = []
        if self.first is not None:
            done.append(f"{self.hoisting.share:.0%} of the operations once per model")
        if self.folds:
            done.append(f"{len(self.folds)} of {self.norms} BatchNorms folded")
        if self.weights:
            done.append("channels last")
        return "; ".join(done) or ("" if self.stacked else "nothing shared, memory reused")


def make_parts(
    program: Program,
    device: torch.device,
    *,
    hoist: bool | None = None,
    stacked: bool = False,
) -> Parts:
    """Return a Program's parts, the same for every span and data set.

    Args:
        program: the model.
        device: the layout is for CPUs.
        hoist: whether to cut after the first layers; None where it pays.
        stacked: whether `rest` is to take several points at once, each tensor [P, …]: in the
            layout and with the memory that torch chooses.
    """
    # Only CPUs: which layout a GPU prefers in float32 was not measured.
    weights = frozenset[str]()
    if device.type == "cpu" and not stacked:
        weights = channel_weights(program)
    whole = without_views(program)
    found = hoisting(whole)
    taken = found.pays if hoist is None else hoist and bool(found.frontier)
    parts = cut(whole, found.frontier) if taken else Cut(None, whole, ())
    rest, folds = folded(parts.rest)
    return Parts(
        first=parts.first,
        rest=rest if stacked else reusing(rest, parts.hoisted),
        folds=folds,
        norms=len(program.batch_norms),
        whole=whole,
        weights=weights,
        hoisting=found,
        stacked=stacked,
    )
