"""What is computed once per model, and its combinations at points.

Kept for the whole data set where that fits in `SHARED_BYTES`, else computed again for every
batch and used for all points of a group. Both run the same batches, so the bits are the same.
A model whose coefficient is 0 is neither computed nor added, whatever it holds.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from engine.landscape.plans.channels import channels_last
from engine.landscape.plans.parts import Parts
from engine.landscape.plans.stacked import combine
from engine.landscape.span import PointBuffer, Span

SHARED_BYTES = 512 << 20
"""Most bytes that a plan keeps beyond the models, one point, the data and the activations."""

Values = tuple[Tensor, ...]


class Hoisted:
    """The first part's values at every model, batch by batch.

    Args:
        parts: of a Program that is cut.
        span: the models; only the first part's tensors are read.
        inputs: the data, one tensor [N, *shape] per input.
        kept: whether values stay in memory once computed.
    """

    def __init__(self, parts: Parts, span: Span, inputs: tuple[Tensor, ...], kept: bool) -> None:
        assert parts.first is not None
        self._first, self._parts, self._kept = parts.first, parts, kept
        self._span = span.restricted(parts.first.parameters)
        # In a buffer of its own, so that bits depend neither on where a model lies in memory nor,
        # as points have it, on the precision of the first part's tensors alone.
        self._buffer = PointBuffer(self._span, parts.weights, dtype=span.dtype)
        self._inputs = inputs
        self._values: dict[tuple[int, int], Values] = {}

    def at(self, row: Sequence[float], samples: slice) -> Values:
        """Return the values at a point for a batch, in memory of the caller's own.

        Args:
            row: one weight per model, [K].
            samples: the batch, always cut the same way.
        """
        used = [(c, self._at_model(k, samples)) for k, c in enumerate(row) if c != 0]
        (first, start), rest = used[0], used[1:]
        results = []
        for place, value in enumerate(start):
            result = value.clone() if first == 1 else value * first
            for weight, other in rest:
                result.add_(other[place], alpha=weight)
            results.append(result)
        return tuple(results)

    def at_points(self, rows: Tensor, samples: slice) -> Values:
        """Return the values at P points at once, [P, n, …] each.

        Args:
            rows: affine weights, float64 [P, K].
            samples: the batch, always cut the same way.
        """
        used = (rows != 0).any(0).tolist()
        models = [self._at_model(k, samples) if taken else None for k, taken in enumerate(used)]
        results = []
        for place in range(len(self._parts.hoisting.frontier)):
            values = [None if model is None else model[place] for model in models]
            some = next(value for value in values if value is not None)
            results.append(combine(rows, values, some.new_empty(len(rows), *some.shape)))
        return tuple(results)

    def release(self) -> None:
        """Forget the values of the last batch, unless they are kept for all points."""
        if not self._kept:
            self._values.clear()

    def _at_model(self, model: int, samples: slice) -> Values:
        key = (model, samples.start)
        if key not in self._values:
            batch = [t[samples] for t in self._inputs]
            if self._parts.weights:
                batch = [channels_last(tensor) for tensor in batch]
            alone = [float(k == model) for k in range(len(self._span.models))]
            values = self._first(self._buffer.form(alone), *batch)
            self._values[key] = tuple(map(self._own, values))
        return self._values[key]

    def _own(self, value: Tensor) -> Tensor:
        """Return a value that the next model's parameters do not overwrite."""
        shared = (
            value.untyped_storage().data_ptr() == self._buffer.flat.untyped_storage().data_ptr()
        )
        return value.clone() if shared else value
