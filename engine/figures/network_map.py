"""The network as a drawing: a box for each layer from top to bottom, a colour for each group.

The left end of a box shows the groups on the axis by which data comes in, the right end those
on the axis by which it goes out; two layers whose ends bear the same number share that
permutation. Data that skips rows runs beside them, one line for each layer that it comes from.
Plain HTML with places in pixels: it scrolls, follows the theme and fits a phone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from engine.figures.groups import chip, hue, nested_words
from engine.figures.network_fold import Numbers, Repeat, Row, fold

BOX, GAP, LANE = 30, 12, 13  # pixels
MOST_GUTTER = 150
MOST_CHIPS = 4
SIGNS = {"input": "input", "output": "output"}


@dataclass(frozen=True)
class Skip:
    """Data of row `source` that goes to rows further down, along one lane."""

    source: int
    targets: tuple[int, ...]
    lane: int


def network_html(
    graph: Sequence[Mapping[str, Any]],
    groups: Sequence[Mapping[str, Any]],
    *,
    folded: bool = True,
) -> str:
    """Return the drawing as HTML.

    Args:
        graph: a summary's `graph`.
        groups: a summary's `symmetry.groups`.
        folded: draw equal neighbouring blocks once.
    """
    rows, repeats = fold(graph, folded)
    skips, lanes = skip_lanes(rows)
    pitch = min(LANE, MOST_GUTTER / max(lanes, 1))
    pen = _Pen({group["number"]: group for group in groups}, pitch)
    body = [
        *(pen.frame(repeat) for repeat in repeats),
        *(pen.skip(skip, rows) for skip in skips),
        *(pen.wire(at, rows[at - 1]) for at, row in enumerate(rows) if at - 1 in row.sources),
        *(pen.box(at, row) for at, row in enumerate(rows)),
    ]
    height = len(rows) * (BOX + GAP)
    gutter = round(pitch * lanes + (LANE if lanes else 0))
    return (
        f'<div class="bs-net"><div style="height:{height}px;--gutter:{gutter}px">'
        f"{''.join(body)}</div></div>"
    )


def skip_lanes(rows: Sequence[Row]) -> tuple[list[Skip], int]:
    """Give every flow of data past other rows a lane of its own; return them and the lanes.

    Short flows take the inner lanes, so that lines cross as little as can be.
    """
    reached: dict[int, list[int]] = {}
    for at, row in enumerate(rows):
        for source in row.sources:
            if at - source > 1:
                reached.setdefault(source, []).append(at)
    taken: list[list[tuple[int, int]]] = []
    skips = []
    for source, targets in sorted(reached.items(), key=lambda item: (item[1][-1] - item[0], item)):
        span = (source, targets[-1])
        lane = next(
            (k for k, spans in enumerate(taken) if all(_apart(span, other) for other in spans)),
            len(taken),
        )
        if lane == len(taken):
            taken.append([])
        taken[lane].append(span)
        skips.append(Skip(source, tuple(targets), lane))
    return skips, len(taken)


def _apart(one: tuple[int, int], two: tuple[int, int]) -> bool:
    return one[1] <= two[0] or two[1] <= one[0]


def layer_words(layer: Mapping[str, Any]) -> str:
    """Return what a layer does in a few words: conv 3×3, linear, norm."""
    shape, kind = layer["shape"], layer["kind"]
    if kind == "conv":
        return f"conv {'×'.join(map(str, shape[2:]))}"
    if kind == "parameter":
        return f"{layer['sign']} parameter"
    if kind == "input":
        return "input" if layer["sign"] in ("input", "") else f"input {layer['sign']}"
    return layer["sign"] if kind == "join" else kind


def size_words(layer: Mapping[str, Any]) -> str:
    """Return a layer's sizes: 64 → 128."""
    into, out = (sum(s["size"] for s in layer[side]) for side in ("inputs", "outputs"))
    if layer["kind"] in ("conv", "linear", "embedding") and into and out:
        return f"{into} → {out}"
    return str(out) if out else ""


def _what(layer: Mapping[str, Any]) -> str:
    return " · ".join(filter(None, (layer_words(layer), size_words(layer))))


class _Pen:
    """Writes the pieces of one drawing."""

    def __init__(self, groups: Mapping[int, Mapping[str, Any]], pitch: float) -> None:
        self.groups, self.pitch = groups, pitch

    def box(self, at: int, row: Row) -> str:
        """Return a layer's box, or a join's sign."""
        layer = row.layer
        last = layer["name"].rpartition(".")[2]
        parts = "".join(f" · {part.rpartition('.')[2]}" for part in layer["parts"])
        title = f"{', '.join(row.names[:4])}{'…' * (len(row.names) > 4)}: {layer_words(layer)}"
        if not layer["name"]:
            words = f'<span class="bs-what">{escape(layer_words(layer))}</span>'
        else:
            path = layer["name"][: len(layer["name"]) - len(last)]
            words = (
                f'<span class="bs-name"><i>{escape(path)}</i><b>{escape(last)}</b>'
                f'{escape(parts)}</span><span class="bs-what">{escape(_what(layer))}</span>'
            )
        ends = [self._end(side) for side in (row.inputs, row.outputs)]
        return (
            f'<div class="bs-box bs-{layer["kind"]}" style="top:{self._top(at)}px" '
            f'title="{escape(title, quote=True)}">{ends[0]}{words}{ends[1]}</div>'
        )

    def wire(self, at: int, above: Row) -> str:
        """Return the line from the row above."""
        top = self._top(at) - GAP
        return f'<div class="bs-wire" style="top:{top}px;height:{GAP}px;{_ink(above)}"></div>'

    def skip(self, skip: Skip, rows: Sequence[Row]) -> str:
        """Return the line beside the rows, with a branch to each row that it reaches."""
        reach = round((skip.lane + 1) * self.pitch)
        begin = self._top(skip.source) + BOX * 2 // 3
        end = self._top(skip.targets[-1]) + BOX // 3
        ink = f"--reach:{reach}px;{_ink(rows[skip.source])}"
        lines = [(begin, end - begin, "bs-skip", skip.source)]
        lines += [(self._top(t) + BOX // 3, 0, "bs-branch", t) for t in skip.targets]
        return "".join(
            f'<div class="{kind}{_inset(rows[at])}" style="top:{top}px;height:{height}px;{ink}">'
            "</div>"
            for top, height, kind, at in lines
        )

    def frame(self, repeat: Repeat) -> str:
        """Return the frame around blocks that are drawn once."""
        top = self._top(repeat.first) - GAP // 2
        height = self._top(repeat.last) + BOX + GAP // 2 - top
        names = f"{repeat.names[0]} … {repeat.names[-1]}"
        return (
            f'<div class="bs-repeat" style="top:{top}px;height:{height}px">'
            f'<span title="{escape(names, quote=True)}">×{repeat.count}</span></div>'
        )

    def _top(self, at: int) -> int:
        return GAP // 2 + at * (BOX + GAP)

    def _end(self, side: Sequence[Sequence[Numbers]]) -> str:
        """Return one end of a box: the groups on that axis, in order."""
        marks = [self._stretch(stretch) for stretch in side[:MOST_CHIPS]]
        if len(side) > MOST_CHIPS:
            marks.append(f'<span class="bs-more">+{len(side) - MOST_CHIPS}</span>')
        return f'<span class="bs-end">{"".join(marks)}</span>'

    def _stretch(self, stretch: Sequence[Numbers]) -> str:
        marks = (self._mark(numbers) for numbers in stretch)
        inner = '<span class="bs-times">×</span>'.join(marks)
        return f'<span class="bs-stretch">{inner}</span>'

    def _mark(self, numbers: Numbers) -> str:
        group = self.groups.get(numbers[0])
        if group is None:
            return chip(0)
        text = str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]}…{numbers[-1]}"
        return chip(numbers[0], text, nested=bool(nested_words(group)))


def _inset(row: Row) -> str:
    """Return the class of a line that begins or ends at a narrow box."""
    return "" if row.layer["name"] else " bs-inset"


def _ink(row: Row) -> str:
    """Return the colour of the data that leaves a row: that of its first group."""
    numbers = [number for stretch in row.outputs for level in stretch for number in level if number]
    return f"--h:{hue(numbers[0])};--c:.13" if numbers else "--h:0;--c:0"
