"""What a comparison of methods says in words: its headline, and its tables sorted by barrier."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from engine.figures.geometry import Summary
from engine.figures.headline import SIGNIFICANT, free_of_barrier
from engine.figures.methods_style import NAIVE, PLAIN, method_styles
from engine.figures.numbers import duration, is_number, plain
from engine.figures.palette import LIGHT
from engine.figures.tables import definitions
from engine.figures.task import Words, words

Row = Mapping[str, Any]


def methods_headline(summary: Summary, split: str = "test") -> str:
    """Return one sentence: which method, with which repair, leaves the lowest barrier."""
    told = words(summary)
    matched = [row for row in sorted_rows(summary, split) if row["method"] != NAIVE]
    naive = _barrier(_naive_row(summary), split)
    if not matched or not is_number(_height(matched[0], split)):
        return "No method could be evaluated on this pair; the table says why."
    best = _barrier(matched[0], split)
    free = {row["method"] for row in matched if free_of_barrier(_barrier(row, split), told.small)}
    tried = len({row["method"] for row in matched})
    before = told.loss(naive.get("git_rebasin"), 2)
    if free_of_barrier(naive, told.small):
        return f"There is no barrier to begin with: {before} without matching"
    if free and len(free) == tried > 1:
        every = "Both" if tried == 2 else f"All {tried}"
        after = told.loss(best["git_rebasin"], 2)
        return f"{every} methods remove the barrier: {before} → {after}"
    title = _line_title(summary, matched[0])
    after = told.loss(best["git_rebasin"], 2)
    if free:
        others = len(free) - 1
        more = f", and so {'does' if others == 1 else 'do'} {others} more" if others else ""
        return f"{title[0].upper()}{title[1:]} removes the barrier: {before} → {after}{more}"
    if not _lower(best, naive, told):
        return f"No method lowers the barrier: {before} without matching, {after} at best"
    return f"Lowest barrier with {title}: {before} → {after}"


def sorted_rows(summary: Summary, split: str = "test") -> list[Row]:
    """Return the rows by their barrier on a split, those without a number last."""
    return sorted(summary["rows"], key=lambda row: _sort_key(row, split))


def methods_rows(
    summary: Summary, provenance: Mapping[str, Any], split: str = "test"
) -> list[dict[str, str]]:
    """Return the table: barrier, midpoint, objective and seconds of every line, as texts.

    Args:
        summary, provenance: of a comparison of methods.
        split: the barrier and midpoint are of.
    """
    told = words(summary)
    methods = {method["id"]: method for method in summary["methods"]}
    titles = {v["id"]: v["title"] for v in summary["repairs"]["variants"]}
    styles = method_styles(summary["methods"], LIGHT)
    score = told.task.score or told.task.derived or "score"
    rows = []
    for row in sorted_rows(summary, split):
        method, barrier = methods[row["method"]], _barrier(row, split)
        middle = (row["midpoint"] or {}).get(split) or {}
        done = row["problem"] is None
        matching = method["matching"] or {}
        rows.append(
            {
                "method": f"{styles[row['method']].sign} {method['title']}",
                "repair": titles.get(row["variant"], row["variant"]) if done else "–",
                f"{split} barrier": _with_error(barrier, told) if done else "not possible",
                f"midpoint {score}": next(iter(told.point(middle).values()), "–") if done else "–",
                "midpoint loss": told.loss(middle.get("loss")) if done else "–",
                "matching took": _seconds(method, provenance),
                "⟨A, π(B)⟩": _objective(summary, method),
                "starts": starts(matching),
                "note": row["problem"] or _note(method, methods),
            }
        )
    noted = any(line["note"] for line in rows)
    return rows if noted else [{k: v for k, v in line.items() if k != "note"} for line in rows]


def starts(matching: Mapping[str, Any]) -> str:
    """Return where the starts of a matching ended: how many, and from which to which."""
    ends = [value for value in matching.get("restarts") or () if is_number(value)]
    if len(ends) < 2:
        return "1" if ends else "–"
    return f"{len(ends)}: {plain(min(ends), 1)} to {plain(max(ends), 1)}"


def definition_rows(summary: Summary) -> list[dict[str, str]]:
    """Return every line's barrier by every definition, train and test."""
    told = words(summary)
    methods = {method["id"]: method["title"] for method in summary["methods"]}
    titles = {v["id"]: v["title"] for v in summary["repairs"]["variants"]}
    rows = []
    for row in sorted_rows(summary):
        if row["problem"] is not None:
            continue
        line = {"method": methods[row["method"]], "repair": titles[row["variant"]]}
        for split in ("test", "train"):
            for definition in definitions(summary):
                value = (row["barriers"].get(split) or {}).get(definition.key)
                text = told.score(value) if definition.key == "frankle" else told.loss(value)
                line[f"{split}, {definition.title}"] = text
        rows.append(line)
    return rows


def ensemble_sentence(summary: Summary, split: str = "test") -> str:
    """Return what the ensemble of A and B achieves, and at what cost."""
    together = summary.get("ensemble") or {}
    values = together.get(split)
    if not values:
        return f"The ensemble of A and B is not known: {together.get('problem') or 'no reason'}"
    told = words(summary)
    parts = [f"{split} loss {told.loss(values['loss'])}"]
    if told.task.score:
        parts.append(f"{told.task.score} {told.score(values.get('accuracy'))}")
    if is_number(values.get("calibration_error")):
        parts.append(f"calibration error {plain(values['calibration_error'])}")
    return (
        f"The ensemble of A and B, which costs two networks: {', '.join(parts)}. "
        "A merged network costs one."
    )


def _line_title(summary: Summary, row: Row) -> str:
    """Return a method with its repairs, for a sentence."""
    title = next(m["title"] for m in summary["methods"] if m["id"] == row["method"])
    repairs = {v["id"]: v["title"] for v in summary["repairs"]["variants"]}[row["variant"]]
    return title if row["variant"] == PLAIN else f"{title} and {repairs}"


def _naive_row(summary: Summary) -> Row:
    return next((r for r in summary["rows"] if (r["method"], r["variant"]) == (NAIVE, PLAIN)), {})


def _barrier(row: Row, split: str) -> Mapping[str, Any]:
    return (row.get("barriers") or {}).get(split) or {}


def _height(row: Row, split: str) -> float | None:
    return _barrier(row, split).get("git_rebasin")


def _sort_key(row: Row, split: str) -> tuple[bool, float, float]:
    """Order by barrier; equal ones (half the difference of the ends, say) by midpoint."""
    height = _height(row, split)
    middle = ((row.get("midpoint") or {}).get(split) or {}).get("loss")
    known = is_number(height)
    rounded = round(height, 3) if known else math.inf
    return not known, rounded, middle if is_number(middle) else math.inf


def _lower(one: Mapping[str, Any], other: Mapping[str, Any], told: Words) -> bool:
    """Say whether a barrier is measurably lower than another."""
    if not is_number(other.get("git_rebasin")):
        return True
    error = math.hypot(one.get("git_rebasin_se") or 0, other.get("git_rebasin_se") or 0)
    return other["git_rebasin"] - one["git_rebasin"] > max(SIGNIFICANT * error, told.small)


def _with_error(barrier: Mapping[str, Any], told: Words) -> str:
    return told.loss_with_error(barrier.get("git_rebasin"), barrier.get("git_rebasin_se"))


def _seconds(method: Mapping[str, Any], provenance: Mapping[str, Any]) -> str:
    if method["id"] == NAIVE:
        return "–"
    seconds = ((provenance.get("methods") or {}).get(method["id"]) or {}).get("match")
    return duration(seconds) if is_number(seconds) else "–"


def _objective(summary: Summary, method: Mapping[str, Any]) -> str:
    """Return ⟨A, π(B)⟩; that of the identity for the line as it is."""
    matching = method["matching"] or {}
    if method["id"] != NAIVE:
        return f"{matching['objective']:.5g}" if matching else "–"
    others = [m["matching"]["objective_identity"] for m in summary["methods"] if m["matching"]]
    return f"{others[0]:.5g}" if others else "–"


def _note(method: Mapping[str, Any], methods: Mapping[str, Any]) -> str:
    """Return what else there is to say of a method."""
    if method["same_as"] == NAIVE:
        return "leaves B as it is"
    if method["same_as"]:
        return f"the same permutation as {methods[method['same_as']]['title']}"
    return ""
