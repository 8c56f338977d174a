"""What another process needs to evaluate tiles: weights, data, and how to make the Program.

Tensors travel as arrays of bytes, which pickle hands over without copying them (protocol 5): Ray
places them once per node, and processes of one machine map one file. Only Basinscope's own
processes exchange such cargo; nothing that a user uploads is ever unpickled.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from engine.data import Dataset
from engine.errors import RunError
from engine.landscape import ResetData, Span
from engine.studies.evaluation import Work
from engine.studies.recipe import ProgramRecipe
from engine.studies.tiles import Tile

ALIGNMENT = 64
"""Bytes; what torch aligns memory to on the CPU."""


@dataclass(frozen=True)
class Packed:
    """A tensor as bytes.

    Attributes:
        data: uint8 [bytes].
        dtype, shape: of the tensor.
    """

    data: np.ndarray
    dtype: torch.dtype
    shape: tuple[int, ...]

    @staticmethod
    def of(tensor: Tensor) -> Packed:
        """Return a tensor packed; the bytes of a contiguous one on the CPU are shared."""
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        return Packed(flat.view(torch.uint8).numpy(), flat.dtype, tuple(tensor.shape))

    def tensor(self) -> Tensor:
        """Return the tensor; it shares the bytes, which may be mapped and must not be written."""
        if not self.data.size:
            return torch.empty(self.shape, dtype=self.dtype)
        with warnings.catch_warnings():
            # The evaluator never writes to what it is given, so mapped bytes will do.
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
            flat = torch.from_numpy(self.data)
        return flat.view(self.dtype).reshape(self.shape)

    def aligned(self) -> Tensor:
        """Return the tensor where vector instructions find it as torch would have put it.

        Matrix products of the same numbers may be rounded otherwise elsewhere.
        """
        tensor = self.tensor()
        return tensor.clone() if tensor.data_ptr() % ALIGNMENT else tensor


Box = Mapping[str, Packed]


@dataclass(frozen=True)
class Order:
    """A tile without its weights.

    Attributes:
        key, split, index: as of the tile.
        span: which of the cargo's spans.
        coefficients: float64 [G, K].
    """

    key: str
    split: str
    index: np.ndarray
    span: int
    coefficients: np.ndarray


@dataclass(frozen=True)
class Cargo:
    """What all tiles have in common, as plain values.

    Attributes:
        recipe: of the Program.
        models: every model that some span uses, once.
        spans: names and numbers of their models.
        splits: data sets by split, without their tensors.
        inputs, targets: the tensors by split.
        reset: training inputs and their batch size, or None.
        precision, repairing: as of the work.
    """

    recipe: ProgramRecipe
    models: tuple[Box, ...]
    spans: tuple[tuple[tuple[str, ...], tuple[int, ...]], ...]
    splits: Mapping[str, Dataset]
    inputs: Mapping[str, tuple[Packed, ...]]
    targets: Mapping[str, Packed]
    reset: tuple[tuple[Packed, ...], int] | None
    precision: str
    repairing: bool


def load_cargo(work: Work, tiles: Sequence[Tile]) -> tuple[Cargo, tuple[Order, ...]]:
    """Return the cargo of some tiles, and each tile as an order.

    Raises:
        RunError: the Program was given in Python, so another process could not make it.
    """
    if work.recipe is None:
        raise RunError(
            "A model given in Python stays in its process; to spread its evaluation, write it "
            "with engine.save_program(module, example_inputs, path) and compare the files."
        )
    spans = list({id(tile.span): tile.span for tile in tiles}.values())
    models = list({id(model): model for span in spans for model in span.models}.values())
    number = {id(model): place for place, model in enumerate(models)}
    place = {id(span): at for at, span in enumerate(spans)}
    empty = torch.empty(0)
    cargo = Cargo(
        recipe=work.recipe,
        models=tuple({n: Packed.of(t) for n, t in model.items()} for model in models),
        spans=tuple((s.names, tuple(number[id(m)] for m in s.models)) for s in spans),
        splits={k: replace(d, inputs=empty, targets=empty) for k, d in work.data.items()},
        inputs={k: tuple(map(Packed.of, d.tensors)) for k, d in work.data.items()},
        targets={k: Packed.of(d.targets) for k, d in work.data.items()},
        reset=_packed_reset(work.reset),
        precision=work.precision,
        repairing=work.repairing,
    )
    orders = tuple(
        Order(t.key, t.split, t.index, place[id(t.span)], t.coefficients.numpy()) for t in tiles
    )
    return cargo, orders


class Station:
    """Unpacked cargo in the process that evaluates.

    Args:
        cargo: what to unpack; its tensors stay where they are.
        device: where to compute.

    Raises:
        RunError: the Program comes out differently here.
    """

    def __init__(self, cargo: Cargo, device: str) -> None:
        models = [{name: one.tensor() for name, one in model.items()} for model in cargo.models]
        self._spans = [
            Span(names, tuple(models[number] for number in numbers))
            for names, numbers in cargo.spans
        ]
        self._work = Work(
            program=cargo.recipe.make(),
            recipe=cargo.recipe,
            data={
                split: replace(
                    dataset,
                    inputs=_inputs(cargo.inputs[split]),
                    targets=cargo.targets[split].aligned(),
                )
                for split, dataset in cargo.splits.items()
            },
            reset=_unpacked_reset(cargo.reset),
            device=device,
            precision=cargo.precision,
            repairing=cargo.repairing,
        )

    def evaluate(self, order: Order, should_stop: Callable[[], bool]) -> dict[str, np.ndarray]:
        """Return the arrays of one tile.

        Raises:
            CancelledError: should_stop said so.
        """
        coefficients = torch.from_numpy(order.coefficients.copy())
        tile = Tile(order.key, self._spans[order.span], coefficients, order.split, order.index)
        return self._work.evaluate(tile, lambda tile: None, should_stop)


def _packed_reset(reset: ResetData | None) -> tuple[tuple[Packed, ...], int] | None:
    if reset is None:
        return None
    inputs = reset.inputs if isinstance(reset.inputs, tuple) else (reset.inputs,)
    return tuple(map(Packed.of, inputs)), reset.batch_size


def _unpacked_reset(packed: tuple[tuple[Packed, ...], int] | None) -> ResetData | None:
    if packed is None:
        return None
    inputs, batch_size = packed
    return ResetData(_inputs(inputs), batch_size)


def _inputs(packed: tuple[Packed, ...]) -> Tensor | tuple[Tensor, ...]:
    tensors = tuple(one.aligned() for one in packed)
    return tensors[0] if len(tensors) == 1 else tensors
