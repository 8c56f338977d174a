"""BatchNorm statistics recomputed at a point, from training inputs.

Averaged weights do not have the averaged activations' statistics: REPAIR (Jordan et al. 2022,
section 3) and Git Re-Basin (appendix) therefore recompute the running means and variances after
interpolation. As in a forward in train mode, every layer normalises by its batch while the
batch's mean and variance are taken; one pass over the inputs suffices. Batches are then pooled
exactly: the mean of all values, and the variance within the batches plus that between them.
Deeper layers see activations normalised batch by batch, so the size of a batch belongs to the
definition. Momentum and REPAIR's rescaling of other layers are not here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.errors import LandscapeError
from engine.program import BatchStatistics, Program

RESET_BATCH = 250


@dataclass(frozen=True)
class ResetData:
    """Training inputs from which BatchNorm statistics are recomputed at every point.

    Attributes:
        inputs: one tensor [N, *shape], or one per input of the program; normalised.
        batch_size: the most samples that normalise each other.
    """

    inputs: Tensor | tuple[Tensor, ...]
    batch_size: int = RESET_BATCH

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """One tensor per input of the program."""
        return self.inputs if isinstance(self.inputs, tuple) else (self.inputs,)

    @property
    def samples(self) -> int:
        """How many training inputs there are."""
        return len(self.tensors[0])


def reset_statistics(
    program: Program,
    params: Mapping[str, Tensor],
    inputs: Sequence[Tensor],
    *,
    batch_size: int = RESET_BATCH,
    check: Callable[[], None] = lambda: None,
) -> dict[str, Tensor]:
    """Return the running means and variances that the inputs give at this point.

    Args:
        program: the model.
        params: the point's tensors, whose own statistics are neither read nor written.
        inputs: one tensor [N, *shape] per input of the program, on the parameters' device.
        batch_size: the most samples per batch; batches differ by at most one sample, and hold
            two even where 1 is asked.
        check: called before each batch; what it raises ends the pass.

    Returns:
        New tensors by the names in `program.statistics_names`, in the precision of `params`;
        variances are unbiased, as torch keeps them.

    Raises:
        LandscapeError: fewer than two samples.
    """
    samples = len(inputs[0])
    if samples < 2:
        raise LandscapeError(
            f"BatchNorm statistics need at least 2 training inputs; {samples} was given."
        )
    run = program.with_batch_statistics()
    pools = {site.running_mean: _Pool() for site in program.batch_norms}
    # Batches of equal size, none of a single sample, which would have no variance.
    batches = min(math.ceil(samples / batch_size), samples // 2)
    for part in zip(*(tensor.tensor_split(batches) for tensor in inputs), strict=True):
        check()
        _, batch = run(params, *part)
        for site, found in zip(program.batch_norms, batch, strict=True):
            pools[site.running_mean].add(found)
    return {
        name: value.to(params[name].dtype)
        for site in program.batch_norms
        for name, value in (
            (site.running_mean, pools[site.running_mean].mean),
            (site.running_var, pools[site.running_mean].variance),
        )
    }


class _Pool:
    """Mean and unbiased variance of all values seen so far, per channel, in float64."""

    def __init__(self) -> None:
        self.count = 0
        self.mean = torch.zeros(())
        self._squares = torch.zeros(())

    def add(self, batch: BatchStatistics) -> None:
        """Pool what a batch showed (Chan et al. 1979, equation 2.1)."""
        count, mean = batch.count, batch.mean.double()
        squares = batch.variance.double() * (count - 1)
        if self.count == 0:
            self.count, self.mean, self._squares = count, mean, squares
            return
        total = self.count + count
        difference = mean - self.mean
        self._squares = self._squares + squares + difference**2 * (self.count * count / total)
        self.mean = self.mean + difference * (count / total)
        self.count = total

    @property
    def variance(self) -> Tensor:
        return self._squares / (self.count - 1)
