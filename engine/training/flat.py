"""A model's trained parameters as one vector, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.errors import TrainingError
from engine.program import Program

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class Flat:
    """Where each trained parameter stands in a vector of all of them.

    Attributes:
        program: whose parameters.
        shapes: name → shape, in the vector's order.
        dtype: float32, or float64 where a model is.
    """

    program: Program
    shapes: Mapping[str, torch.Size]
    dtype: torch.dtype

    @staticmethod
    def of(program: Program, models: Sequence[Tensors]) -> Flat:
        """Return the layout of some models.

        Raises:
            TrainingError: nothing of the model is trained.
        """
        named = [program.named(model) for model in models]
        shapes = {
            name: named[0][name].shape
            for name, spec in program.parameters.items()
            if spec.trainable and named[0][name].is_floating_point()
        }
        if not shapes:
            raise TrainingError(
                "the model has no trained parameter, so a curve has no bend to move"
            )
        dtype = torch.float32
        for model in named:
            for tensor in model.values():
                if tensor.is_floating_point():
                    dtype = torch.promote_types(dtype, tensor.dtype)
        return Flat(program, shapes, dtype)

    def vector(self, model: Tensors, device: torch.device) -> Tensor:
        """Return a model's trained parameters as new memory, [P]."""
        named = self.program.named(model)
        parts = [named[name].detach().to(device, self.dtype).reshape(-1) for name in self.shapes]
        return torch.cat(parts)

    def others(self, model: Tensors, device: torch.device) -> dict[str, Tensor]:
        """Return what of a model is not trained: running statistics and other buffers."""
        return {
            name: tensor.detach().to(device, self.dtype if tensor.is_floating_point() else None)
            for name, tensor in self.program.named(model).items()
            if name not in self.shapes
        }

    def views(self, vector: Tensor) -> dict[str, Tensor]:
        """Return the parameters in a vector, by name, as views."""
        parts = vector.split([shape.numel() for shape in self.shapes.values()])
        return {
            name: part.view(shape)
            for (name, shape), part in zip(self.shapes.items(), parts, strict=True)
        }

    def model(self, vector: Tensor, others: Tensors) -> dict[str, Tensor]:
        """Return a model of the program: the parameters in a vector, and the rest, on the CPU."""
        found = {name: view.clone() for name, view in self.views(vector).items()}
        found |= {name: tensor.cpu() for name, tensor in others.items()}
        return {name: found[name] for name in self.program.parameters}
