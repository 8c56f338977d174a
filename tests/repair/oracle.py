"""An independent oracle: hooks on the module itself, in float64, all samples in one batch."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from tests.models import Model

LAYERS = (nn.Linear, nn.Conv2d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.LayerNorm)


def channels(module: nn.Module, params: Mapping[str, Tensor], x: Tensor) -> dict[str, Tensor]:
    """Return, by module name, mean and standard deviation of each output channel, [2, channels]."""
    module = copy.deepcopy(module).double().eval()
    missing, unexpected = module.load_state_dict(dict(params), strict=False)
    assert not unexpected and all("num_batches" in name for name in missing)
    seen: dict[str, Tensor] = {}

    def hook(part: nn.Module, inputs: object, output: Tensor, name: str) -> None:
        last = output.dim() == 2 or isinstance(part, nn.LayerNorm)
        rows = output.movedim(-1 if last else 1, 0).flatten(1)
        seen[name] = torch.stack((rows.mean(1), rows.std(1)))

    for name, part in module.named_modules():
        if isinstance(part, LAYERS + NORMS):
            part.register_forward_hook(lambda m, i, o, n=name: hook(m, i, o, n))
    with torch.no_grad():
        module(x.double())
    return seen


def repaired_by_hand(model: Model) -> tuple[set[str], set[str]]:
    """Return the modules whose mean and deviation, and whose deviation alone, are repaired."""
    module = model.module()
    has_batch_norm = any(isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d) for m in module.modules())
    both, scale = set(), set()
    named = [(n, m) for n, m in module.named_modules() if isinstance(m, LAYERS + NORMS)]
    for name, part in named[:-1]:
        if isinstance(part, nn.Conv2d) and has_batch_norm:
            continue
        (both if part.bias is not None else scale).add(name)
    return both, scale
