"""What a pickle of `torch.save` would build, found out without building any of it.

The opcodes are walked on a stack of inert values: names of globals, sizes
and strings. Nothing is imported, called or allocated, so a hostile pickle can do no more here
than be refused. Only what `torch.save` writes for state dicts is understood; the rest of the
language (other protocols, object construction) has no entry in the tables below.

`torch.load(weights_only=True)` reads the file afterwards. It alone would not do: it lets a
pickle allocate tensors and byte arrays of any declared size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from engine.checkpoints.admission import shown
from engine.checkpoints.pickle_scan import PARAMETER, STORAGE, TENSOR_V1, TENSOR_V2
from engine.errors import CheckpointError

_KEY_TYPES = (str, int, float, bytes, type(None))


@dataclass(frozen=True)
class Global:
    """A name that the pickle refers to; never looked up."""

    name: str


@dataclass(frozen=True)
class Storage:
    """A stretch of the file's bytes that tensors are views of."""

    key: str
    kind: str
    elements: int


@dataclass
class PlannedTensor:
    """A view of a storage, in elements; `name` is the last key that it was stored under."""

    storage: Storage
    offset: int
    shape: tuple[Any, ...]
    stride: tuple[Any, ...]
    name: str = "?"


@dataclass
class Plan:
    """The result of the walk: the inert value, its storages and its tensors."""

    value: Any = None
    storages: dict[str, Storage] = field(default_factory=dict)
    tensors: list[PlannedTensor] = field(default_factory=list)


def plan_pickle(opcodes: list[tuple[str, Any]]) -> Plan:
    """Return what the pickle would build.

    Args:
        opcodes: From `pickle_scan.read_opcodes`, without `disallowed_globals`.

    Raises:
        CheckpointError: The pickle is malformed, or does what no state dict needs.
    """
    machine, opcode = _Machine(), "its start"
    try:
        for opcode, argument in opcodes:
            step = _STEPS.get(opcode)
            if step is None:
                raise CheckpointError(
                    f"its pickle uses {opcode}, which torch.save does not write with its default "
                    "protocol; load it where it was made and save it again"
                )
            step(machine, argument)
        return machine.plan
    except (IndexError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(
            f"its pickle is malformed: {type(error).__name__} at {opcode}"
        ) from error


class _Machine:
    """The pickle machine's stack, marks and memo, over inert values."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.plan = Plan()

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def protocol(self, number: int) -> None:
        if number != 2:
            raise CheckpointError(
                f"its pickle has protocol {number}; torch.save's default, 2, is read; load it "
                "where it was made and save it again"
            )

    def mark(self, _: Any) -> None:
        self.marks.append(self.stack)
        self.stack = []

    def pop_mark(self) -> list[Any]:
        items, self.stack = self.stack, self.marks.pop()
        return items

    def take(self, count: int) -> list[Any]:
        items = [self.stack.pop() for _ in range(count)]
        return items[::-1]

    def put(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    def append(self, items: list[Any]) -> None:
        if type(self.stack[-1]) is not list:
            raise TypeError
        self.stack[-1].extend(items)

    def set_items(self, items: list[Any]) -> None:
        if type(self.stack[-1]) is not dict or len(items) % 2:
            raise TypeError
        self.fill(self.stack[-1], zip(items[::2], items[1::2], strict=True))

    def fill(self, target: dict[Any, Any], pairs: Any) -> None:
        for key, value in pairs:
            # Tuples would hash element by element, without end when they are nested deeply.
            if not isinstance(key, _KEY_TYPES):
                raise CheckpointError(f"its pickle uses a {type(key).__name__} as a key")
            if isinstance(value, PlannedTensor):
                value.name = str(key)
            target[key] = value

    def storage(self, _: Any) -> None:
        """BINPERSID: a reference to bytes elsewhere in the file."""
        identifier = self.stack.pop()
        if type(identifier) is not tuple or identifier[0] not in ("storage", b"storage"):
            raise CheckpointError("its pickle refers to something other than a tensor's storage")
        kind, key, location, elements, *view = identifier[1:]
        match = STORAGE.fullmatch(kind.name) if type(kind) is Global else None
        if match is None or type(key) not in (str, int) or type(location) not in (str, bytes):
            raise TypeError
        if view not in ([], [None]):
            raise CheckpointError(
                "it was written by a PyTorch older than 0.4, with views of storages; load it "
                "there or in a newer one and save it again"
            )
        if type(elements) is not int or elements < 0:
            raise CheckpointError(f"its storage {shown(key)} declares {shown(elements)} elements")
        storage = Storage(str(key), match[1], elements)
        if self.plan.storages.setdefault(storage.key, storage) != storage:
            raise CheckpointError(f"its storage {shown(key)} is declared in two ways")
        self.push(storage)

    def reduce(self, _: Any) -> None:
        """REDUCE: the pickle asks for a call; only a few calls have an inert counterpart."""
        function, arguments = self.take(2)
        if type(function) is not Global or type(arguments) is not tuple:
            raise TypeError
        name = function.name
        if name == "collections.OrderedDict":
            self.push(self.mapping(*arguments))
        elif name == "collections.Counter":
            (content,) = arguments
            self.push(self.mapping(dict(content.items())))
        elif name in (TENSOR_V1, TENSOR_V2):
            self.push(self.tensor(arguments))
        elif name == PARAMETER:
            tensor, *_ = arguments
            if type(tensor) is not PlannedTensor:
                raise TypeError
            self.push(tensor)
        elif name == "torch.Size":
            (sizes,) = arguments
            self.push(_integers(sizes))
        elif name == "torch.device":
            if not all(type(argument) in (str, int) for argument in arguments):
                raise TypeError
            self.push(function)
        else:
            raise CheckpointError(f"its pickle calls {name}, which is nothing to call")

    def mapping(self, content: Any = ()) -> dict[Any, Any]:
        if type(content) not in (dict, list, tuple):
            raise TypeError
        result: dict[Any, Any] = {}
        self.fill(result, content.items() if type(content) is dict else content)
        return result

    def tensor(self, arguments: tuple[Any, ...]) -> PlannedTensor:
        storage, offset, shape, stride, *rest = arguments
        requires_grad, hooks, metadata = [*rest, *(False, None, None)[len(rest) :]]
        if type(storage) is not Storage or type(offset) is not int:
            raise TypeError
        if type(requires_grad) is not bool or hooks or metadata:
            raise CheckpointError("its pickle attaches hooks or metadata to a tensor")
        tensor = PlannedTensor(storage, offset, _integers(shape), _integers(stride))
        self.plan.tensors.append(tensor)
        return tensor

    def build(self, _: Any) -> None:
        """BUILD: attributes; torch.save writes them for `state_dict()._metadata` alone."""
        target, state = self.take(2)
        if type(target) is not dict or type(state) is not dict or set(state) - {"_metadata"}:
            raise CheckpointError("its pickle sets attributes on objects")
        self.push(target)

    def stop(self, _: Any) -> None:
        (self.plan.value,) = self.stack


def _integers(values: Any) -> tuple[int, ...]:
    if type(values) is not tuple or not all(type(value) is int for value in values):
        raise TypeError
    return values


_STEPS: dict[str, Callable[[_Machine, Any], None]] = {
    "PROTO": _Machine.protocol,
    "STOP": _Machine.stop,
    "MARK": _Machine.mark,
    "NONE": lambda machine, _: machine.push(None),
    "NEWTRUE": lambda machine, _: machine.push(True),
    "NEWFALSE": lambda machine, _: machine.push(False),
    **dict.fromkeys(
        ("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINSTRING"),
        _Machine.push,
    ),
    "EMPTY_TUPLE": lambda machine, _: machine.push(()),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.pop_mark())),
    "TUPLE1": lambda machine, _: machine.push(tuple(machine.take(1))),
    "TUPLE2": lambda machine, _: machine.push(tuple(machine.take(2))),
    "TUPLE3": lambda machine, _: machine.push(tuple(machine.take(3))),
    "APPEND": lambda machine, _: machine.append(machine.take(1)),
    "APPENDS": lambda machine, _: machine.append(machine.pop_mark()),
    "SETITEM": lambda machine, _: machine.set_items(machine.take(2)),
    "SETITEMS": lambda machine, _: machine.set_items(machine.pop_mark()),
    "BINPUT": _Machine.put,
    "LONG_BINPUT": _Machine.put,
    "BINGET": lambda machine, index: machine.push(machine.memo[index]),
    "LONG_BINGET": lambda machine, index: machine.push(machine.memo[index]),
    "GLOBAL": lambda machine, name: machine.push(Global(name.replace(" ", "."))),
    "BINPERSID": _Machine.storage,
    "REDUCE": _Machine.reduce,
    "BUILD": _Machine.build,
}
