"""Points of a span, each repaired: what all points share is made ready once.

The order is fixed, whatever the order in which repairs are asked for: first the statistics of
the channels, then the temperature.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.errors import RepairError
from engine.landscape import Span, reset_statistics
from engine.landscape.statistics import RESET_BATCH
from engine.program import Program
from engine.repair.catalogue import REPAIRS, RESET, RepairNeeds
from engine.repair.obstacles import obstacle


@dataclass(frozen=True)
class Point:
    """One repaired point.

    Attributes:
        params: every tensor of the program, in the precision in which points are formed.
        temperature: what the logits are divided by; 1 where no temperature was asked for.
        folded: whether the weights do that already.
    """

    params: Mapping[str, Tensor]
    temperature: float = 1.0
    folded: bool = True

    @property
    def divisor(self) -> float:
        """What the logits that the weights give are still to be divided by."""
        return 1.0 if self.folded else self.temperature


class Workshop:
    """Models, training samples and the repairs wanted; `at` repairs one point of the span.

    Args:
        program: the model.
        ends: K models that are aligned already.
        inputs: training inputs, one tensor [N, *shape] per input of the program.
        repairs: keys of `REPAIRS`, in any order.
        targets: their labels, where a repair needs them.
        batch_size: the most samples that normalise each other.
        check: called before each batch; what it raises ends the repair.
        device: where everything runs.

    Raises:
        RepairError: a repair is unknown, does not apply, or lacks labels or samples.
        LandscapeError: the models do not have the same tensors.
        ProgramError: a model lacks a tensor of the program.
    """

    def __init__(
        self,
        program: Program,
        ends: Sequence[Mapping[str, Tensor]],
        inputs: Sequence[Tensor],
        *,
        repairs: Collection[str],
        targets: Tensor | None = None,
        batch_size: int = RESET_BATCH,
        check: Callable[[], None] = lambda: None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.repairs = in_order(repairs)
        for key in self.repairs:
            if (why := obstacle(key, program)) is not None:
                raise RepairError(why)
            if REPAIRS[key].needs is RepairNeeds.TARGETS and targets is None:
                raise RepairError(f"The {REPAIRS[key].title} needs training samples with labels.")
        for end in ends:
            program.check(end)
        self.program = program
        names = tuple(f"model {index}" for index in range(1, len(ends) + 1))
        span = Span(names, tuple(program.named(end) for end in ends))
        self.span = span.to(device, program.parameters)
        self.inputs = tuple(self._moved(tensor, device) for tensor in inputs)
        self.batch_size = batch_size
        self.check = check

    def at(self, weights: Sequence[float]) -> Point:
        """Return the repaired point Σ w_k·model_k.

        Args:
            weights: one per model, [K], summing to 1.

        Raises:
            LandscapeError: the weights do not fit, or there are too few samples.
        """
        params = self.span.at(torch.tensor(list(weights), dtype=torch.float64))
        with torch.inference_mode():
            if RESET in self.repairs:
                params |= reset_statistics(
                    self.program,
                    params,
                    self.inputs,
                    batch_size=self.batch_size,
                    check=self.check,
                )
        return Point(params)

    def _moved(self, tensor: Tensor, device: torch.device | str) -> Tensor:
        return tensor.to(device, self.span.dtype if tensor.is_floating_point() else None)


def in_order(repairs: Collection[str]) -> tuple[str, ...]:
    """Return keys in the order in which repairs are applied, each once.

    Raises:
        RepairError: a key is unknown.
    """
    given = {repairs} if isinstance(repairs, str) else set(repairs)
    if unknown := sorted(given - REPAIRS.keys()):
        raise RepairError(
            f"There is no repair {unknown[0]!r}; the repairs are {', '.join(REPAIRS)}."
        )
    return tuple(key for key in REPAIRS if key in given)
