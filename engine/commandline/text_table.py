"""Rows of texts as an aligned table for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def left_table(rows: Sequence[Mapping[str, str]]) -> str:
    """Return rows with the same columns as text, all aligned to the left."""
    names = list(rows[0])
    lines = [names, *([row[name] for name in names] for row in rows)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(names))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def text_table(rows: Sequence[Mapping[str, str]]) -> str:
    """Return rows with the same columns as text: the first column left, the others right."""
    columns = list(rows[0])
    widths = [max(len(column), *(len(row[column]) for row in rows)) for column in columns]

    def line(cells: Sequence[str]) -> str:
        first, *rest = (
            cell.ljust(width) if number == 0 else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return "  ".join([first, *rest]).rstrip()

    return "\n".join([line(columns), *(line(list(row.values())) for row in rows)])
