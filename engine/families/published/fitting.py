"""Whether the layers of a module fit one another: each takes as many channels as reach it.

A reader that takes a layer's sizes from its own tensor builds whatever the file says; here one
image without memory runs through the module, and the first layer that gets other channels than
it takes is named. What else may stop the run (an image that is too small, say) is told later,
where it is run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from engine.errors import UnknownArchitectureError


class _OtherWidthError(Exception):
    """A layer takes other channels than reach it: its path, and both numbers."""


def check_widths(module: nn.Module, shape: Sequence[int], labels: Mapping[str, str]) -> None:
    """Raise unless every layer takes as many channels as reach it.

    Args:
        module: without memory for its weights.
        shape: of one sample.
        labels: the module's own tensor names → the checkpoint's.

    Raises:
        UnknownArchitectureError: Names the first layer that takes others.
    """
    paths = {part: path for path, part in module.named_modules()}

    def look(part: nn.Module, given: tuple[Any, ...]) -> None:
        takes, axis = _taken(part)
        x = given[0] if given else None
        if takes and isinstance(x, Tensor) and x.shape[axis] != takes:
            raise _OtherWidthError(paths[part], takes, x.shape[axis])

    hooks = [part.register_forward_pre_hook(look) for part in paths]
    training = module.training
    try:
        with torch.no_grad():
            module.eval()(torch.zeros(1, *shape, device="meta"))
    except _OtherWidthError as error:
        path, takes, reach = error.args
        raise UnknownArchitectureError(
            f"{labels[f'{path}.weight']} takes {takes} channels, but {reach} reach it."
        ) from error
    except (RuntimeError, ValueError):
        return
    finally:
        module.train(training)
        for hook in hooks:
            hook.remove()


def _taken(part: nn.Module) -> tuple[int, int]:
    """Return how many channels a layer takes, and along which axis; 0 where it takes any."""
    if isinstance(part, nn.Linear):
        return part.in_features, -1
    if isinstance(part, nn.modules.conv._ConvNd):
        return part.in_channels, 1
    if isinstance(part, nn.modules.batchnorm._BatchNorm):
        return part.num_features, 1
    return 0, 0
