"""REPAIR of every point of a span while a landscape is evaluated: lines, planes, any coefficients.

At Σ c_k·θ_k every channel of every site (`sites.py`) gets the affine combination of what it is in
the K models on the training inputs: mean Σ c_k·μ_k and standard deviation Σ c_k·σ_k, where μ_k and
σ_k are model k's own (Jordan et al. 2022, section 3, has K = 2). BatchNorms get running
statistics from the same pass. Far outside the models Σ c_k·σ_k may be 0 or negative: no network
has such a channel, and it is left as it is. A point that is one of the models is that model.

Each point costs one forward pass over the training inputs; the models cost one each, once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from engine.landscape import Span, choose_batch_size
from engine.landscape.plan import Change
from engine.landscape.plans.channels import without_views
from engine.landscape.statistics import ResetData
from engine.program import Program
from engine.repair.channels import Channels, Data
from engine.repair.sites import find_sites


class PointRepair:
    """REPAIR as an evaluation takes it; make one per study, it remembers what the models are.

    Args:
        samples: training inputs and the most of them that normalise each other.
    """

    def __init__(self, samples: ResetData) -> None:
        self.samples = samples
        self._known: tuple[object, object, _Bound] | None = None

    def bound(
        self,
        program: Program,
        span: Span,
        device: torch.device | str,
        check: Callable[[], None],
    ) -> Change:
        """Return what changes a formed point of a span; see `engine.landscape.plan.Repair`.

        Raises:
            RepairError: a model gives NaN or infinite values, or there are too few samples.
        """
        held = [tensor for model in span.models for tensor in model.values()]
        key = (program, torch.device(device), tuple(map(id, held)))
        if self._known is None or self._known[0] != key:
            # The tensors stay referred to, so that no other can take their place in memory.
            self._known = (key, held, _Bound(program, span, self.samples, device))
        bound = self._known[2]
        bound.check = check
        return bound


class _Bound:
    """A span's models, measured when the first point between them comes."""

    def __init__(
        self, program: Program, span: Span, samples: ResetData, device: torch.device | str
    ) -> None:
        # Points may come with channels last, which a `view` would refuse.
        self._program, self._span = without_views(program), span
        self._samples, self._device = samples, device
        self._channels: Channels | None = None
        self.check: Callable[[], None] = lambda: None

    def __call__(self, row: Sequence[float], params: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the tensors that REPAIR changes at a point."""
        if sum(c != 0 for c in row) < 2:
            return {}
        if self._channels is None:
            self._channels = self._measured()
        return self._channels.at(row, params)

    def _ask(self) -> None:
        # Of the evaluation that runs now, which need not be the one that measured the models.
        self.check()

    def _measured(self) -> Channels:
        dtype = self._span.dtype
        given = self._samples.inputs
        inputs = given if isinstance(given, tuple) else (given,)
        size = choose_batch_size(self._program, self._samples.batch_size, itemsize=dtype.itemsize)

        def moved(tensor: Tensor) -> Tensor:
            return tensor.to(self._device, dtype if tensor.is_floating_point() else None)

        return Channels(
            self._program,
            find_sites(self._program).hidden,
            # One at a time: a model of another precision is copied.
            ({name: moved(t) for name, t in model.items()} for model in self._span.models),
            Data(tuple(map(moved, inputs)), size, self._ask),
            shifting=True,
            resetting=True,
        )
