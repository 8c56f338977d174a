"""What many models' permutations into one frame are worth: Σ_{a<b} ⟨P_a A, P_b B⟩.

With all permutations but one fixed this is a matching of two models, that one and the sum of
the others, so that the `Problem` of two models does all the work, nested groups included.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from engine.errors import MatchingError
from engine.matching.problem import Problem, check_finite
from engine.symmetry import Permutation, Symmetry

if TYPE_CHECKING:
    from engine.program import Program

Tensors = dict[str, Tensor]


class Joint:
    """Models of one architecture, in one precision.

    Args:
        program: the architecture, for the names of its running statistics.
        symmetry: its permutation groups.
        models: two or more sets of parameters by name; further names are ignored.
        device: where everything runs; permutations stay on the CPU.

    Raises:
        MatchingError: there are too few models, or one does not fit the symmetry.
        NonFiniteError: a model holds NaN or infinite values.
    """

    def __init__(
        self,
        program: Program,
        symmetry: Symmetry,
        models: Sequence[Mapping[str, Tensor]],
        device: torch.device | str = "cpu",
    ) -> None:
        if len(models) < 2:
            raise MatchingError(f"merging takes two models or more, not {len(models)}")
        self.symmetry = symmetry
        self.device = torch.device(device)
        self._exclude = program.statistics_names
        names = [name for name in symmetry.layouts if name not in self._exclude]
        for number, model in enumerate(models, start=1):
            _check_fit(symmetry, number, model)
        self.names = tuple(name for name in names if models[0][name].is_floating_point())
        """The parameters that count in the objective."""
        tensors = [model[name] for model in models for name in symmetry.layouts]
        double = any(tensor.dtype == torch.float64 for tensor in tensors)
        self.dtype = torch.float64 if double else torch.float32
        self._models = [self._working(model) for model in models]
        for number, model in enumerate(self._models, start=1):
            check_finite(f"model {number}", model)

    def __len__(self) -> int:
        return len(self._models)

    def identity(self) -> list[Permutation]:
        """Return the permutations that leave every model as it is."""
        return [self.symmetry.identity() for _ in self._models]

    def objective(self, permutations: Sequence[Permutation]) -> float:
        """Return Σ_{a<b} ⟨P_a A, P_b B⟩, summed in float64.

        It is half of what the square of the sum has beyond the squares of the models.
        """
        total = 0.0
        moved = [self._moved(number, p) for number, p in enumerate(permutations)]
        for name in self.names:
            stacked = torch.stack([model[name].double().flatten() for model in moved])
            total += float(stacked.sum(0).square().sum() - stacked.square().sum()) / 2
        return total

    def pair(self, a: int, b: int) -> Problem:
        """Return the problem of matching model number b to model number a."""
        return self._problem(self._models[a], b)

    def against_others(self, number: int, permutations: Sequence[Permutation]) -> Problem:
        """Return the problem of matching one model to the mean of all others in the frame."""
        others = [self._moved(k, p) for k, p in enumerate(permutations) if k != number]
        mean = {
            name: torch.stack([other[name] for other in others]).mean(0)
            if self._models[0][name].is_floating_point()
            else self._models[0][name]
            for name in self.symmetry.layouts
        }
        return self._problem(mean, number)

    def norm(self, number: int) -> float:
        """Return the length of one model's parameters that count in the objective."""
        squares = [float(self._models[number][n].double().square().sum()) for n in self.names]
        return sum(squares) ** 0.5

    def _problem(self, target: Tensors, number: int) -> Problem:
        return Problem(
            self.symmetry,
            target,
            self._models[number],
            exclude=self._exclude,
            device=self.device,
        )

    def _moved(self, number: int, permutation: Permutation) -> Tensors:
        return self.symmetry.apply(permutation, self._models[number])

    def _working(self, model: Mapping[str, Tensor]) -> Tensors:
        return {
            name: tensor.detach().to(
                self.device, self.dtype if tensor.is_floating_point() else tensor.dtype
            )
            for name, tensor in ((name, model[name]) for name in self.symmetry.layouts)
        }


def _check_fit(symmetry: Symmetry, number: int, model: Mapping[str, Tensor]) -> None:
    for name in symmetry.layouts:
        if name not in model:
            raise MatchingError(f"model {number} lacks the tensor {name}")
        found, expected = list(model[name].shape), list(symmetry.shapes[name])
        if found != expected:
            raise MatchingError(f"{name} of model {number} is {found}, not {expected}")
