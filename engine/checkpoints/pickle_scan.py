"""The opcodes of a pickle and the names it refers to, read without running it.

`pickletools` splits the bytes; nothing is imported or built. What a state dict may refer to
is listed here once, and everything else is reported by name.
"""

from __future__ import annotations

import re
from itertools import islice
from pickletools import genops
from typing import Any, BinaryIO

from engine.checkpoints.admission import reason
from engine.checkpoints.limits import Limits
from engine.errors import CheckpointError, LimitError

TENSOR_V2 = "torch._utils._rebuild_tensor_v2"
TENSOR_V1 = "torch._utils._rebuild_tensor"
PARAMETER = "torch._utils._rebuild_parameter"
_OTHERS = frozenset(
    {"collections.OrderedDict", "collections.Counter", "torch.Size", "torch.device"}
)
_DTYPE = re.compile(r"torch\.(float|bfloat|u?int|complex)\d+|torch\.bool")
STORAGE = re.compile(r"torch\.(\w+Storage)")
_ALLOWED = frozenset({TENSOR_V2, TENSOR_V1, PARAMETER}) | _OTHERS
_OPCODES_PER_TENSOR = 40


def disallowed_globals(opcodes: list[tuple[str, Any]]) -> tuple[str, ...]:
    """Return every name that the pickle refers to and that no state dict needs, sorted."""
    found = set()
    strings: list[str] = []
    for opcode, argument in opcodes:
        if isinstance(argument, str) and opcode not in ("GLOBAL", "INST"):
            strings = [*strings[-1:], argument]
        if opcode in ("GLOBAL", "INST"):
            found.add(argument.replace(" ", "."))
        elif opcode == "STACK_GLOBAL":
            found.add(".".join(strings[-2:]) or "?")
        elif opcode.startswith("EXT"):
            found.add(f"copyreg extension {argument}")
    return tuple(sorted(name for name in found if not _is_allowed(name)))


def _is_allowed(name: str) -> bool:
    return (
        name in _ALLOWED
        or _DTYPE.fullmatch(name) is not None
        or STORAGE.fullmatch(name) is not None
    )


def read_opcodes(stream: BinaryIO, limits: Limits) -> list[tuple[str, Any]]:
    """Return the opcodes of one pickle as (name, argument), leaving `stream` behind it.

    Raises:
        CheckpointError: The bytes are no complete pickle.
        LimitError: It has more opcodes than `limits.tensors` tensors need.
    """
    most = _OPCODES_PER_TENSOR * limits.tensors
    try:
        found = [(op.name, argument) for op, argument, _ in islice(genops(stream), most)]
    except (ValueError, IndexError, OverflowError) as error:
        raise CheckpointError(f"its pickle is cut off or damaged ({reason(error)})") from error
    if len(found) == most:
        raise LimitError(f"its pickle has more than {most:,} opcodes")
    return found
