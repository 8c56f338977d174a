"""Modules without memory for their weights: what tracing needs is shapes alone.

A recognised architecture is traced before any weight is put into it, so that a network of
billions of parameters is built in megabytes. Buffers that a forward computes with, such as
rotary frequencies, keep their values.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

Module = TypeVar("Module", bound=nn.Module)


class _EmptyOnMeta(TorchFunctionMode):
    """Takes no memory for `torch.empty`, with which layers make the weights that they draw."""

    def __torch_function__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        kwargs = dict(kwargs or {})
        if func is torch.empty:
            kwargs["device"] = "meta"
        return func(*args, **kwargs)


def weightless(build: Callable[[], Module]) -> Module:
    """Return what `build` returns, in eval mode, with zeros for weights that take no memory.

    Each drawn parameter is one zero seen at every place; parameters that layers make of values
    (ones of a norm) are left as they are. Tied parameters stay tied.
    """
    with torch.no_grad(), _EmptyOnMeta():
        module = build()
    replaced: dict[int, nn.Parameter] = {}
    for part in module.modules():
        for name, parameter in part.named_parameters(recurse=False, remove_duplicate=False):
            if not parameter.is_meta:
                continue
            zeros = replaced.setdefault(id(parameter), nn.Parameter(_zeros(parameter), False))
            setattr(part, name, zeros)
        for name, buffer in part.named_buffers(recurse=False):
            if buffer.is_meta:
                setattr(part, name, torch.zeros(buffer.shape, dtype=buffer.dtype))
    return module.eval()


def _zeros(like: Tensor) -> Tensor:
    return torch.zeros((), dtype=like.dtype).expand(like.shape)
