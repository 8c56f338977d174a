"""Dense oracles: flat vectors and the Hessian of a tiny network, entry by entry."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F


def flat(model, names) -> Tensor:
    """Return the named tensors as one float64 vector."""
    return torch.cat([model[name].detach().double().reshape(-1) for name in names])


def dense_hessian(module: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    """Return the Hessian of the mean cross-entropy over all parameters, float64 [n, n]."""
    module = module.double().eval()
    names = [name for name, _ in module.named_parameters()]
    held = [p.detach() for p in module.parameters()]
    buffers = dict(module.named_buffers())

    def loss(vector: Tensor) -> Tensor:
        parts, start = {}, 0
        for name, tensor in zip(names, held, strict=True):
            parts[name] = vector[start : start + tensor.numel()].view(tensor.shape)
            start += tensor.numel()
        return F.cross_entropy(
            functional_call(module, parts | buffers, (inputs.double(),)), targets
        )

    start = torch.cat([tensor.reshape(-1) for tensor in held])
    found = torch.autograd.functional.hessian(loss, start)
    assert isinstance(found, Tensor)
    return found
