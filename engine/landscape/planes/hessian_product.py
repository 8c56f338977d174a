"""The Hessian of a model's mean loss times a vector, by differentiating twice (Pearlmutter 1994).

The loss is the landscape's own (`engine.landscape.loss`), a mean over samples or tokens, with
BatchNorm by its running statistics. Nothing larger than a few copies of the parameters is held.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from engine.data.task import IGNORED
from engine.errors import CancelledError, LandscapeError
from engine.landscape.evaluator import Samples
from engine.landscape.loss import check_outputs, check_targets
from engine.landscape.tf32 import tf32_products
from engine.program import Program

BATCH = 250


class HessianProduct:
    """v ↦ H·v at one model, for flat vectors over its trained parameters.

    Args:
        program: the model.
        params: its tensors; trained ones in float32 or wider are differentiated.
        names: the tensors that vectors run over, in this order.
        data: the samples that the loss is a mean over.
        batch_size: samples at a time; it changes the result by rounding only.
        should_stop: asked between batches.
        device: where to compute.

    Raises:
        LandscapeError: the samples are none.
    """

    def __init__(
        self,
        program: Program,
        params: Mapping[str, Tensor],
        names: Sequence[str],
        data: Samples,
        *,
        batch_size: int = BATCH,
        should_stop: Callable[[], bool] | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        held = program.named(params)
        self.dtype = torch.float32
        for tensor in held.values():
            if tensor.is_floating_point():
                self.dtype = torch.promote_types(self.dtype, tensor.dtype)
        self._params = {name: self._on(device, tensor) for name, tensor in held.items()}
        self._leaves = {n: self._params[n].clone().requires_grad_() for n in names}
        self._params |= self._leaves
        given = data.inputs if isinstance(data.inputs, tuple) else (data.inputs,)
        self._inputs = tuple(self._on(device, tensor) for tensor in given)
        self._targets = data.targets.to(device)
        if not len(self._targets):
            raise LandscapeError("The Hessian needs at least one sample; there is none.")
        answers = len(self._targets)
        if not self._targets.is_floating_point() and self._targets.ndim > 1:
            answers = max(int((self._targets != IGNORED).sum()), 1)
        self._answers = answers
        self._program, self._batch, self._device = program, batch_size, device
        self._should_stop = should_stop or (lambda: False)

    @property
    def size(self) -> int:
        """How many numbers a vector has."""
        return sum(leaf.numel() for leaf in self._leaves.values())

    def __call__(self, vector: Tensor) -> Tensor:
        """Return H·v, shape [n], summed over batches in float64.

        Args:
            vector: shape [n].

        Raises:
            LandscapeError: the loss has no second derivative, or the product is not finite.
            CancelledError: `should_stop` said so.
        """
        parts = self.split(vector)
        total = torch.zeros(self.size, dtype=torch.float64, device=self._device)
        for start in range(0, len(self._targets), self._batch):
            if self._should_stop():
                raise CancelledError("The Hessian was cancelled.")
            # TF32 would leave about as many digits as the eigenvectors are asked for.
            with tf32_products(False, self._device):
                total += self._product(slice(start, start + self._batch), list(parts.values()))
        if not bool(total.isfinite().all()):
            raise LandscapeError(
                "The Hessian of the loss is not finite at this model: its loss overflows or is NaN "
                "on some samples; look at the data and the checkpoint."
            )
        return (total / self._answers).cpu()

    def split(self, vector: Tensor) -> dict[str, Tensor]:
        """Return a flat vector as tensors by name, in the precision of the model."""
        parts, start = {}, 0
        for name, leaf in self._leaves.items():
            part = vector[start : start + leaf.numel()]
            parts[name] = part.to(self._device, self.dtype).view(leaf.shape)
            start += leaf.numel()
        return parts

    def _product(self, samples: slice, vector: list[Tensor]) -> Tensor:
        """Return the sum over some samples of each one's Hessian times the vector."""
        leaves = list(self._leaves.values())
        # Fused attention knows no second derivative; the plain kernel computes the same.
        with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
            loss = self._loss(samples)
            if not loss.requires_grad:
                raise LandscapeError(_NONE.format("no parameter reaches it"))
            try:
                slopes = torch.autograd.grad(
                    loss, leaves, create_graph=True, materialize_grads=True
                )
                inner = sum(
                    ((s * v).sum() for s, v in zip(slopes, vector, strict=True)),
                    start=torch.zeros((), device=self._device),
                )
                if not inner.requires_grad:  # the loss is linear in the parameters
                    return torch.zeros(self.size, dtype=torch.float64, device=self._device)
                found = torch.autograd.grad(inner, leaves, materialize_grads=True)
            except RuntimeError as error:
                raise LandscapeError(_NONE.format(str(error).splitlines()[0])) from error
        return torch.cat([part.detach().double().reshape(-1) for part in found])

    def _loss(self, samples: slice) -> Tensor:
        targets = self._targets[samples]
        outputs = self._program(self._params, *(tensor[samples] for tensor in self._inputs))
        check_outputs(outputs.unsqueeze(0), targets)
        check_targets(targets, outputs.shape[-1])
        if targets.is_floating_point():
            errors = (outputs - targets.to(outputs.dtype)).square()
            return errors.reshape(len(targets), -1).mean(1).sum()
        scores = outputs.reshape(-1, outputs.shape[-1])
        return F.cross_entropy(scores, targets.reshape(-1), ignore_index=IGNORED, reduction="sum")

    def _on(self, device: torch.device | str, tensor: Tensor) -> Tensor:
        dtype = self.dtype if tensor.is_floating_point() else None
        return tensor.detach().to(device, dtype)


_NONE = (
    "The loss of this model cannot be differentiated twice ({}), so it has no Hessian; choose "
    "another kind of plane."
)
