"""Numbers in one field of text, with commas between: read, and written so that none changes."""

from __future__ import annotations

from collections.abc import Iterable

from engine.errors import SpecError


def written(numbers: Iterable[float]) -> str:
    """Return numbers as a user would type them, each with all the digits that it needs."""
    return ", ".join(repr(float(number)).removesuffix(".0") for number in numbers)


def read_numbers(label: str, text: str, example: str) -> tuple[float, ...]:
    """Return the numbers of a field, none of an empty one.

    Args:
        label: of the field.
        text: that was typed.
        example: of what may be typed; it has as many numbers as are wanted.

    Raises:
        SpecError: a part is no number, or nothing stands between two commas.
    """
    if not text.strip():
        return ()
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise SpecError(
            f"{label}: '{text:.80}' is no list of numbers; write them with commas, such as "
            f"{example}."
        ) from None


def read_extent(text: str) -> tuple[float, ...] | None:
    """Return the extent of a plane, None of an empty field.

    Raises:
        SpecError: these are not four numbers.
    """
    ends = read_numbers("Extent", text, "-1, 1, -1, 1")
    if ends and len(ends) != 4:
        raise SpecError(
            f"Extent: it takes four numbers, not {len(ends)}; write them with commas, such as "
            "-1, 1, -1, 1."
        )
    return ends or None
