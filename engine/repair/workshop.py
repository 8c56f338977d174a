"""Points of a span, each repaired: what all points share is made ready once.

The order is fixed, whatever the order in which repairs are asked for: first the statistics of
the channels, then the temperature.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.errors import RepairError
from engine.landscape import Span, reset_statistics
from engine.landscape.statistics import RESET_BATCH
from engine.program import Program
from engine.repair.catalogue import REPAIR, REPAIRS, RESCALE, RESET, TEMPERATURE, RepairNeeds
from engine.repair.channels import Channels, Data
from engine.repair.obstacles import obstacle
from engine.repair.sites import Site, find_sites
from engine.repair.temperature import divided, point_temperature


@dataclass(frozen=True)
class Point:
    """One repaired point.

    Attributes:
        params: every tensor of the program, in the precision in which points are formed.
        temperature: what the logits are divided by; 1 where no temperature was asked for.
        folded: whether the weights do that already.
        accuracy: share of the samples that a temperature was fitted on which are right.
    """

    params: Mapping[str, Tensor]
    temperature: float = 1.0
    folded: bool = True
    accuracy: float = math.nan

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
        _check_samples(program, inputs, targets, batch_size)
        for end in ends:
            program.check(end)
        self.program = program
        names = tuple(f"model {index}" for index in range(1, len(ends) + 1))
        span = Span(names, tuple(program.named(end) for end in ends))
        self.span = span.to(device, program.parameters)
        moved = tuple(self._moved(tensor, device) for tensor in inputs)
        self.data = Data(moved, batch_size, check)
        self.targets = None if targets is None else targets.to(device)
        self.sites = find_sites(program)
        self._channels = self._prepared()

    @property
    def notes(self) -> tuple[str, ...]:
        """One sentence for each thing that the repairs leave as it is."""
        if self._channels is None:
            return ()
        unshifted = sum(site.bias is None for site in self.sites.hidden)
        if not (self._channels.shifting and unshifted):
            return self.sites.left_alone
        total = len(self.sites.hidden)
        note = f"{unshifted} of {total} layers have no bias and are scaled without being shifted."
        return (*self.sites.left_alone, note)

    def at(self, weights: Sequence[float]) -> Point:
        """Return the repaired point Σ w_k·model_k.

        A point that is one of the models itself is left as it is by REPAIR and RESCALE.

        Args:
            weights: one per model, [K], summing to 1.

        Raises:
            LandscapeError: the weights do not fit.
            RepairError: there are too few samples, or the labels do not fit.
        """
        with torch.inference_mode():
            params = self.span.at(torch.tensor(list(weights), dtype=torch.float64))
            if self._channels is not None and sum(w != 0 for w in weights) > 1:
                params |= self._channels.at(weights, params)
            elif RESET in self.repairs:
                params |= self._reset(params)
            if TEMPERATURE not in self.repairs:
                return Point(params)
            return self._tempered(params, self.sites.head)

    def _prepared(self) -> Channels | None:
        """Return REPAIR, or RESCALE, over all sites; REPAIR does what RESCALE does and more."""
        if not {REPAIR, RESCALE} & set(self.repairs):
            return None
        shifting = REPAIR in self.repairs
        with torch.inference_mode():
            # Half precision is measured as points are formed: in float32.
            models = [
                {name: self._moved(tensor, tensor.device) for name, tensor in model.items()}
                for model in self.span.models
            ]
            return Channels(
                self.program,
                self.sites.hidden,
                models,
                self.data,
                shifting=shifting,
                resetting=shifting or RESET in self.repairs,
            )

    def _reset(self, params: Mapping[str, Tensor]) -> dict[str, Tensor]:
        data = self.data
        return reset_statistics(
            self.program, params, data.inputs, batch_size=data.batch_size, check=data.check
        )

    def _tempered(self, params: dict[str, Tensor], head: Site | None) -> Point:
        data = self.data
        assert self.targets is not None  # said when the workshop was made
        found = point_temperature(
            self.program, params, data.inputs, self.targets, data.batch_size, data.check
        )
        if head is None or math.isnan(found.temperature):
            return Point(params, found.temperature, folded=False, accuracy=found.accuracy)
        cooled = {**params, **divided(head, params, found.temperature)}
        return Point(cooled, found.temperature, accuracy=found.accuracy)

    def _moved(self, tensor: Tensor, device: torch.device | str) -> Tensor:
        return tensor.to(device, self.span.dtype if tensor.is_floating_point() else None)


def _check_samples(
    program: Program, inputs: Sequence[Tensor], targets: Tensor | None, batch_size: int
) -> None:
    """Raise RepairError unless there is a tensor for each input and a label for each sample."""
    if len(inputs) != len(program.inputs):
        raise RepairError(
            f"The model takes {len(program.inputs)} inputs; {len(inputs)} were given."
        )
    counts = [len(tensor) for tensor in (*inputs, *(() if targets is None else (targets,)))]
    if len(set(counts)) != 1:
        raise RepairError(
            f"Training samples need one tensor per input and one label each; there are "
            f"{', '.join(map(str, counts))}."
        )
    if batch_size < 1:
        raise RepairError(f"A batch needs at least 1 sample; {batch_size} was asked.")


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
