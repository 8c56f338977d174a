"""Permutation groups as they are told apart everywhere: a number and a colour for each.

Hues follow the golden angle, so that groups with neighbouring numbers are far apart; the number
stands in every mark, so that nothing is told by colour alone. Lightness for both themes is in
assets/style.css.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from engine.figures.numbers import count

GOLDEN_ANGLE = 137.508
FIRST_HUE = 250.0
MOST_RULES = 300
LISTED = 400
OPENED = 4

Group = Mapping[str, Any]


def hue(number: int) -> float:
    """Return a group's hue in degrees."""
    return round((FIRST_HUE + GOLDEN_ANGLE * (number - 1)) % 360, 1)


def chip(number: int, text: str | None = None, nested: bool = False) -> str:
    """Return a group's mark: its number in its colour; 0 is what no group permutes."""
    if number == 0:
        return '<span class="bs-g bs-g0" title="fixed: no permutation moves it">·</span>'
    style = " bs-gn" if nested else ""
    shown = escape(text if text is not None else str(number))
    return f'<span class="bs-g{style}" data-g="{number}" style="--h:{hue(number)}">{shown}</span>'


def highlight_rules(numbers: Iterable[int]) -> str:
    """Return a style sheet: pointing at one mark of a group dims the marks of all others."""
    rules = [
        f'.stMain:has([data-g="{n}"]:hover) [data-g]:not([data-g="{n}"]){{opacity:.18}}'
        for n in list(numbers)[:MOST_RULES]
    ]
    return f"<style>{''.join(rules)}</style>" if rules else ""


def axes_of_groups(symmetry: Mapping[str, Any] | None) -> dict[tuple[str, int], list[int]]:
    """Return (parameter, axis) → the numbers of the groups on it."""
    found: dict[tuple[str, int], list[int]] = {}
    for group in (symmetry or {}).get("groups") or ():
        for place in group["axes"]:
            found.setdefault((place["parameter"], place["axis"]), []).append(group["number"])
    return found


def groups_html(groups: Sequence[Group]) -> str:
    """Return the map of groups: which layers share which permutation; nested ones are marked."""
    few = len(groups) <= OPENED
    rows = "".join(_row(group, few) for group in groups[:LISTED])
    more = len(groups) - LISTED
    rest = f'<p class="bs-muted">and {count(more)} more groups</p>' if more > 0 else ""
    return f'<div class="bs-groups">{rows}{rest}</div>'


def nested_words(group: Group) -> str:
    """Return what it means that a group is nested, empty where it is not."""
    if group["copies"] <= 1:
        return ""
    where = f"group {group['within']}" if group["within"] else "a fixed axis"
    return f"{count(group['copies'])} times, one permutation for each unit of {where}"


def _row(group: Group, opened: bool) -> str:
    nested = nested_words(group)
    places: dict[str, list[str]] = {}
    for place in group["axes"]:
        places.setdefault(place["parameter"], []).append(str(place["axis"]))
    inside = "".join(
        f"<li><code>{escape(name)}</code> <span>{_axes(axes)}</span></li>"
        for name, axes in places.items()
    )
    layers = len(places)
    note = f'<span class="bs-nested">nested: {escape(nested)}</span>' if nested else ""
    return (
        f"<details{' open' * opened}><summary>{chip(group['number'], nested=bool(nested))}"
        f"<b>{escape(group['name'])}</b><span>{count(group['size'])} units</span>"
        f"<span>{layers} tensor{'s' * (layers > 1)}</span>{note}</summary>"
        f"<ul>{inside}</ul></details>"
    )


def _axes(axes: Sequence[str]) -> str:
    return f"ax{'is' if len(axes) == 1 else 'es'} {', '.join(axes)}"
