"""JSON from strangers, read field by field, so that whatever is wrong has a place and a name.

`torch.export.save` describes a program in JSON. It is bounded before it is parsed, and no value
is taken on trust afterwards: a field that is missing, unknown or of another kind is refused.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any, NoReturn

from engine.checkpoints.admission import reason, shown
from engine.errors import CheckpointError, LimitError

MOST_BYTES = 64 << 20
"""The traces of the source code that torch adds to every node make these files large."""

MOST_DEPTH = 64
_WORDS = {"Infinity": math.inf, "-Infinity": -math.inf, "NaN": math.nan}
_TEXT = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_BRACKET = re.compile(r"[\[\]{}]")


def parse_document(data: bytes, what: str) -> Entry:
    """Return the JSON object in `data`.

    Args:
        data: the text.
        what: what messages call it.

    Raises:
        LimitError: it is too long or too deep.
        CheckpointError: it is no JSON object in UTF-8, or names one key twice.
    """
    if len(data) > MOST_BYTES:
        raise LimitError(f"{what} takes {len(data):,} bytes, more than the limit of {MOST_BYTES:,}")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{what} is no text in UTF-8") from error
    _check_depth(text, what)
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{what} is no valid JSON ({reason(error)})") from error
    return Entry(value, what)


def _check_depth(text: str, what: str) -> None:
    """Refuse deep nesting before the parser meets it; brackets inside texts do not count."""
    depth = 0
    for bracket in _BRACKET.findall(_TEXT.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        if depth > MOST_DEPTH:
            raise LimitError(f"{what} is nested deeper than {MOST_DEPTH} levels")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        double = next(key for key, _ in pairs if key in seen or seen.add(key))
        raise ValueError(f"the key {shown(double)} occurs twice")
    return result


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON")


class Entry:
    """One JSON object and the place at which it stands.

    Raises:
        CheckpointError: by every method, for what is not there or of another kind.
    """

    def __init__(self, value: object, place: str) -> None:
        if not isinstance(value, dict):
            raise CheckpointError(f"{place} is {_kind(value)}, not an object")
        self.value: dict[str, Any] = value
        self.place = place

    def has(self, key: str) -> bool:
        """Whether a field is there and not null."""
        return self.value.get(key) is not None

    def entry(self, key: str) -> Entry:
        """Return a field that is an object."""
        return Entry(self._field(key), self._at(key))

    def entries(self, key: str) -> Iterator[Entry]:
        """Yield the objects of a field that is a list of them."""
        for index, value in enumerate(self.items(key)):
            yield Entry(value, f"{self._at(key)}[{index}]")

    def mapping(self, key: str) -> Iterator[tuple[str, Entry]]:
        """Yield the names and objects of a field that maps one to the other."""
        inner = self.entry(key)
        for name, value in inner.value.items():
            yield name, Entry(value, f"{inner.place}[{shown(name)}]")

    def items(self, key: str) -> list[Any]:
        """Return a field that is a list."""
        value = self._field(key)
        if not isinstance(value, list):
            self._refuse(key, value, "a list")
        return value

    def text(self, key: str) -> str:
        """Return a field that is text."""
        value = self._field(key)
        if not isinstance(value, str):
            self._refuse(key, value, "text")
        return value

    def whole(self, key: str) -> int:
        """Return a field that is a whole number of 64 bits."""
        return self.whole_number(self._field(key), self._at(key))

    def flag(self, key: str) -> bool:
        """Return a field that is true or false."""
        value = self._field(key)
        if not isinstance(value, bool):
            self._refuse(key, value, "true or false")
        return value

    def real(self, key: str) -> float:
        """Return a field that is a number; torch writes infinities and NaN as words."""
        return self.real_number(self._field(key), self._at(key))

    def union(self) -> tuple[str, Any]:
        """Return the one field that an object of several kinds has: (its kind, its value)."""
        if len(self.value) != 1:
            raise CheckpointError(f"{self.place} names {len(self.value)} kinds, not one")
        return next(iter(self.value.items()))

    def only(self, *known: str) -> None:
        """Refuse fields beyond the known ones: their meaning could not be honoured."""
        unknown = [key for key in self.value if key not in known]
        if unknown:
            raise CheckpointError(f"{self.place} has the unknown field {shown(unknown[0])}")

    @staticmethod
    def whole_number(value: object, place: str) -> int:
        """Return `value` when it is a whole number of 64 bits."""
        if type(value) is not int or not -(1 << 63) <= value < 1 << 63:
            raise CheckpointError(f"{place} is {_kind(value)}, not a whole number of 64 bits")
        return value

    @staticmethod
    def real_number(value: object, place: str) -> float:
        """Return `value` when it is a number or one of torch's words for what is none."""
        if isinstance(value, str) and value in _WORDS:
            return _WORDS[value]
        if type(value) not in (int, float) or not math.isfinite(float(str(value))):
            raise CheckpointError(f"{place} is {_kind(value)}, not a number")
        return float(str(value))

    def _field(self, key: str) -> Any:
        if key not in self.value:
            raise CheckpointError(f"{self.place} lacks the field {key!r}")
        return self.value[key]

    def _at(self, key: str) -> str:
        return f"{self.place}.{key}" if len(self.place) < 120 else f"….{key}"

    def _refuse(self, key: str, value: object, wanted: str) -> NoReturn:
        raise CheckpointError(f"{self._at(key)} is {_kind(value)}, not {wanted}")


def _kind(value: object) -> str:
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    return shown(value)
