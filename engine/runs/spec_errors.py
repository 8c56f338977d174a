"""Why values make no spec: pydantic's findings in our words, each field named."""

from __future__ import annotations

from collections.abc import Collection

from pydantic import ValidationError


def explained(error: ValidationError, prefix: str, fields: Collection[str]) -> str:
    """Return what is wrong with a spec, a sentence per field.

    Args:
        error: of building it.
        prefix: of its fields' names.
        fields: that it has.
    """
    lines = []
    for found in error.errors():
        place = prefix + ".".join(str(part) for part in found["loc"])
        if found["type"] == "extra_forbidden":
            known = ", ".join(sorted(fields))
            lines.append(f"{place}: there is no such field; the fields are {known}.")
        elif found["type"] == "missing":
            lines.append(f"{place}: this field is required.")
        else:
            reason = found["msg"].removeprefix("Value error, ")
            where = f"{place}: " if found["loc"] else prefix
            was = f" (was {_shown(found['input'])})" if found["loc"] else ""
            lines.append(f"{where}{reason}{was}.")
    return " ".join(lines)


def _shown(value: object) -> str:
    try:
        return f"{value!r:.80}"
    except ValueError:  # a number of so many digits that Python does not write it
        return "too long to show"
