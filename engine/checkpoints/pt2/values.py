"""The arguments of one node, from torch's tagged JSON to plain values.

A tensor, or a number that depends on the batch, stays a name (`Ref`). Devices are all read as
the CPU: a Program runs where its parameters are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

from engine.checkpoints.admission import shown
from engine.checkpoints.pt2.document import Entry
from engine.checkpoints.pt2.schema import DEVICES, MEMORY_FORMATS, STRIDED, dtype_of
from engine.errors import CheckpointError


@dataclass(frozen=True)
class Ref:
    """The value that a node or an input of the graph gave under this name."""

    name: str


def read_value(argument: Entry) -> Any:
    """Return the value of one argument: a `Ref`, a plain value, or a tuple of them.

    Raises:
        CheckpointError: it is malformed, or of a kind that is not read.
    """
    kind, value = argument.union()
    place = argument.place
    if kind in _REFUSED:
        raise CheckpointError(f"{place} is {_REFUSED[kind]}, which is not read")
    if kind in _ONE:
        return _ONE[kind](value, f"{place}.{kind}")
    if kind in _MANY:
        if not isinstance(value, list):
            raise CheckpointError(f"{place}.{kind} is no list")
        return tuple(_MANY[kind](item, f"{place}.{kind}[{i}]") for i, item in enumerate(value))
    raise CheckpointError(f"{place} is of the unknown kind {shown(kind)}")


def references(value: Any) -> Iterator[Ref]:
    """Yield every reference in a value."""
    if isinstance(value, Ref):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from references(item)


def _none(value: object, place: str) -> None:
    if value is not True:
        raise CheckpointError(f"{place} is {shown(value)}, not true")


def _tensor(value: object, place: str) -> Ref:
    entry = Entry(value, place)
    entry.only("name")
    return Ref(entry.text("name"))


def _optional_tensor(value: object, place: str) -> Ref | None:
    kind, inner = Entry(value, place).union()
    if kind == "as_none":
        return _none(inner, place)
    if kind != "as_tensor":
        raise CheckpointError(f"{place} is neither a tensor nor nothing")
    return _tensor(inner, place)


def _symbolic(plain: str, read: Callable[[object, str], Any]) -> Callable[[object, str], Any]:
    def read_symbolic(value: object, place: str) -> Any:
        kind, inner = Entry(value, place).union()
        if kind == "as_name":
            return Ref(_text(inner, place))
        if kind != plain:
            raise CheckpointError(f"{place} is neither a name nor {plain.removeprefix('as_')}")
        return read(inner, place)

    return read_symbolic


def _flag(value: object, place: str) -> bool:
    if not isinstance(value, bool):
        raise CheckpointError(f"{place} is {shown(value)}, not true or false")
    return value


def _text(value: object, place: str) -> str:
    if not isinstance(value, str):
        raise CheckpointError(f"{place} is {shown(value)}, not text")
    return value


def _dtype(value: object, place: str) -> torch.dtype:
    return dtype_of(Entry.whole_number(value, place), place)


def _memory_format(value: object, place: str) -> torch.memory_format:
    code = Entry.whole_number(value, place)
    if code not in MEMORY_FORMATS:
        raise CheckpointError(f"{place} has the memory format code {code}, which is not read")
    return MEMORY_FORMATS[code]


def _layout(value: object, place: str) -> torch.layout:
    code = Entry.whole_number(value, place)
    if code != STRIDED:
        raise CheckpointError(f"{place} has the layout code {code}: only dense tensors are read")
    return torch.strided


def _device(value: object, place: str) -> torch.device:
    kind = Entry(value, place).text("type")
    if kind not in DEVICES:
        raise CheckpointError(f"{place} is the device {shown(kind)}, which is not known")
    return torch.device("cpu")


def _complex(value: object, place: str) -> complex:
    entry = Entry(value, place)
    return complex(entry.real("real"), entry.real("imag"))


def _list_of(read: Callable[[object, str], Any]) -> Callable[[object, str], tuple[Any, ...]]:
    def read_list(value: object, place: str) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise CheckpointError(f"{place} is no list")
        return tuple(read(item, f"{place}[{i}]") for i, item in enumerate(value))

    return read_list


_whole, _real = Entry.whole_number, Entry.real_number
_sym_int = _symbolic("as_int", _whole)
_sym_float = _symbolic("as_float", _real)
_sym_bool = _symbolic("as_bool", _flag)

_ONE: dict[str, Callable[[object, str], Any]] = {
    "as_none": _none,
    "as_tensor": _tensor,
    "as_optional_tensor": _optional_tensor,
    "as_int": _whole,
    "as_float": _real,
    "as_string": _text,
    "as_bool": _flag,
    "as_sym_int": _sym_int,
    "as_sym_float": _sym_float,
    "as_sym_bool": _sym_bool,
    "as_scalar_type": _dtype,
    "as_memory_format": _memory_format,
    "as_layout": _layout,
    "as_device": _device,
    "as_complex": _complex,
}
_MANY: dict[str, Callable[[object, str], Any]] = {
    "as_tensors": _tensor,
    "as_optional_tensors": _optional_tensor,
    "as_nested_tensors": _list_of(_tensor),
    "as_ints": _whole,
    "as_int_lists": _list_of(_whole),
    "as_floats": _real,
    "as_float_lists": _list_of(_real),
    "as_strings": _text,
    "as_bools": _flag,
    "as_sym_ints": _sym_int,
    "as_sym_floats": _sym_float,
    "as_sym_bools": _sym_bool,
}
_REFUSED = {
    "as_graph": "a graph of its own (control flow)",
    "as_custom_obj": "an object of a custom class",
    "as_operator": "an operator",
    "as_string_to_argument": "a dictionary",
}
