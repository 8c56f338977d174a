"""A Span: every landscape is affine combinations of K models.

θ(c) = Σ_k c_k·θ_k with Σ c_k = 1. A line is K = 2, the plane through A, B and π(B) is K = 3,
a Bézier curve is K = 3 with Bernstein weights, a merge of many models is one point. Floating
tensors (parameters and running statistics alike) are combined in float32 or wider, so half
precision checkpoints are evaluated in float32; whole-number buffers come from the first model.
A row of coefficients with a single 1 gives that model's tensors bit for bit, and a model whose
coefficient is 0 takes no part, whatever it holds. It does not handle complex tensors.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.errors import LandscapeError


@dataclass(frozen=True)
class Span:
    """The affine hull of K models that have the same tensors.

    Attributes:
        names: what the models are called, [K], for messages and plots.
        models: their tensors by name, [K]; never written to.
    """

    names: tuple[str, ...]
    models: tuple[Mapping[str, Tensor], ...]

    def __post_init__(self) -> None:
        if not self.models or len(self.names) != len(self.models):
            raise LandscapeError(
                f"A span needs one name per model and at least one model; it was given "
                f"{len(self.names)} names and {len(self.models)} models."
            )
        for name, model in zip(self.names[1:], self.models[1:], strict=True):
            _check_same(self.names[0], self.models[0], name, model)

    @property
    def dtype(self) -> torch.dtype:
        """The precision in which points are formed: float32, or float64 where a model has it."""
        dtype = torch.float32
        for model in self.models:
            for tensor in model.values():
                if tensor.is_floating_point():
                    dtype = torch.promote_types(dtype, tensor.dtype)
        return dtype

    def check(self, coefficients: Tensor) -> Tensor:
        """Return coefficients as float64 on the CPU, shape [G, K].

        Raises:
            LandscapeError: the shape is not [G, K], a value is not finite, or a row's sum is
                not 1 to rounding.
        """
        c = coefficients.detach().to("cpu", torch.float64)
        if c.ndim != 2 or c.shape[1] != len(self.models):
            raise LandscapeError(
                f"Coefficients of shape {list(c.shape)} do not fit {len(self.models)} models: "
                f"a row per point and a column per model are needed."
            )
        if not bool(c.isfinite().all()):
            raise LandscapeError("A coefficient is NaN or infinite; every one must be finite.")
        off = (c.sum(1) - 1).abs()
        if bool((off > 1e-9 * c.abs().sum(1).clamp(min=1)).any()):
            raise LandscapeError(
                f"The coefficients of point {int(off.argmax())} do not sum to 1 "
                f"(they miss it by {float(off.max()):.3g}): the point is not in the span."
            )
        return c

    def at(self, coefficients: Tensor) -> dict[str, Tensor]:
        """Return the tensors of one point as new memory.

        Args:
            coefficients: one weight per model, shape [K], summing to 1.

        Raises:
            LandscapeError: see `check`.
        """
        row = self.check(coefficients.reshape(1, -1))[0]
        with torch.no_grad():
            return dict(PointBuffer(self).form(row))

    def restricted(self, names: Collection[str]) -> Span:
        """Return the span of the same models with only these tensors, which are shared."""
        models = ({n: t for n, t in model.items() if n in names} for model in self.models)
        return Span(self.names, tuple(models))

    def to(self, device: torch.device | str, names: Collection[str] | None = None) -> Span:
        """Return the span on a device, keeping only `names`; tensors already there are shared."""
        models = tuple(
            {n: t.to(device) for n, t in model.items() if names is None or n in names}
            for model in self.models
        )
        return Span(self.names, models)


class PointBuffer:
    """One flat preallocated buffer in which the points of a span are formed, one after another.

    Args:
        span: the models.
        channels_last: names of tensors [O, I, H, W] that are laid out with I innermost.
        dtype: precision of the points; None takes the span's.
    """

    def __init__(
        self,
        span: Span,
        channels_last: Collection[str] = (),
        dtype: torch.dtype | None = None,
    ) -> None:
        first = span.models[0]
        floating = [name for name, tensor in first.items() if tensor.is_floating_point()]
        device = next((first[name].device for name in floating), torch.device("cpu"))
        size = sum(first[name].numel() for name in floating)
        self.flat = torch.empty(size, dtype=dtype or span.dtype, device=device)
        self._span = span
        self._fixed = {n: t.clone() for n, t in first.items() if not t.is_floating_point()}
        self._views: dict[str, Tensor] = {}
        start = 0
        for name in floating:
            stop = start + first[name].numel()
            part, shape = self.flat[start:stop], first[name].shape
            if name in channels_last:
                outer, inner, height, width = shape
                self._views[name] = part.view(outer, height, width, inner).permute(0, 3, 1, 2)
            else:
                self._views[name] = part.view(shape)
            start = stop

    def form(self, row: Tensor | Sequence[float]) -> Mapping[str, Tensor]:
        """Write one point's tensors into the buffer and return them by name.

        Args:
            row: one weight per model, shape [K].

        Returns:
            Views that the next call overwrites.
        """
        weights = [float(c) for c in row]
        used = [(c, model) for c, model in zip(weights, self._span.models, strict=True) if c != 0]
        for name, view in self._views.items():
            (first, model), rest = used[0], used[1:]
            view.copy_(model[name])
            if first != 1:
                view.mul_(first)
            for weight, other in rest:
                view.add_(other[name], alpha=weight)
        return {**self._views, **self._fixed}


def _check_same(name_a: str, a: Mapping[str, Tensor], name_b: str, b: Mapping[str, Tensor]) -> None:
    """Raise LandscapeError unless two models have the same tensor names, shapes and kinds."""
    if missing := sorted(set(a) ^ set(b)):
        raise LandscapeError(
            f"{name_a} and {name_b} do not have the same tensors: only one of them has "
            f"{', '.join(missing[:5])}{' …' if len(missing) > 5 else ''}."
        )
    for name, tensor in a.items():
        if tensor.shape != b[name].shape:
            raise LandscapeError(
                f"{name} has shape {list(tensor.shape)} in {name_a} but "
                f"{list(b[name].shape)} in {name_b}; models of one span have equal shapes."
            )
        if tensor.is_floating_point() != b[name].is_floating_point():
            raise LandscapeError(
                f"{name} is {tensor.dtype} in {name_a} but {b[name].dtype} in {name_b}; "
                f"both must hold floating point numbers, or neither."
            )
