"""The tables beside the figures: barriers by every definition, and the models' own numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.figures.geometry import Summary
from engine.figures.numbers import is_number, percent, plain
from engine.figures.task import Words, words

PATH_TITLES: Mapping[str, str] = {"naive": "A → B", "rebasin": "A → π(B)", "orbit": "B → π(B)"}
MODEL_TITLES: Mapping[str, str] = {"a": "A", "b": "B", "pi_b": "π(B)"}
SPLITS = ("train", "test")


@dataclass(frozen=True)
class Definition:
    """One way to put a number on a barrier; `key` is its name in a summary."""

    key: str
    title: str
    formula: str
    words: str
    source: str
    link: str


DEFINITIONS: tuple[Definition, ...] = (
    Definition(
        "git_rebasin",
        "Git Re-Basin",
        "max_λ L(λ) − ½ (L(0) + L(1))",
        "The highest loss on the path over the mean of its two ends. The headline uses it.",
        "Ainsworth et al. 2022, definition 2.2",
        "https://arxiv.org/abs/2209.04836",
    ),
    Definition(
        "entezari",
        "Entezari",
        "max_λ [L(λ) − ((1 − λ) L(0) + λ L(1))]",
        "The highest loss over the straight line between the two ends' losses.",
        "Entezari et al. 2021",
        "https://arxiv.org/abs/2110.06296",
    ),
    Definition(
        "frankle",
        "Frankle",
        "max_λ E(λ) − ½ (E(0) + E(1))",
        "Instability: the same as Git Re-Basin's, for the error rate instead of the loss.",
        "Frankle et al. 2019",
        "https://arxiv.org/abs/1912.05671",
    ),
    Definition(
        "midpoint",
        "Raw midpoint",
        "L(½)",
        "The loss half-way, with nothing subtracted.",
        "Fort's replication of Git Re-Basin",
        "https://github.com/stanislavfort/dissect-git-re-basin",
    ),
)


def definitions(summary: Summary) -> tuple[Definition, ...]:
    """Return the definitions that mean something here: without right answers, not Frankle's."""
    scored = words(summary).task.score is not None
    return tuple(d for d in DEFINITIONS if scored or d.key != "frankle")


def barrier_rows(summary: Summary) -> list[dict[str, str]]:
    """Return one row per definition and split, one column per path, ± where it is known."""
    barriers, told = summary.get("barriers") or {}, words(summary)
    rows = []
    for definition in definitions(summary):
        for split in SPLITS:
            row = {"definition": definition.title, "split": split}
            for name, title in PATH_TITLES.items():
                values = (barriers.get(name) or {}).get(split) or {}
                row[title] = _barrier_text(definition.key, values, told)
            rows.append(row)
    return rows


def model_rows(summary: Summary) -> list[dict[str, str]]:
    """Return loss and score of A, B, π(B) and of the three midpoints, train and test."""
    told = words(summary)
    sources = [(title, (summary.get("ends") or {}).get(key)) for key, title in MODEL_TITLES.items()]
    middles = summary.get("midpoints") or {}
    sources += [(f"middle of {title}", middles.get(key)) for key, title in PATH_TITLES.items()]
    rows = []
    for title, numbers in sources:
        row = {"network": title}
        for split in SPLITS:
            values = (numbers or {}).get(split) or {}
            row[f"{split} loss"] = told.loss_with_error(values.get("loss"), values.get("loss_se"))
            row |= {f"{split} {title}": text for title, text in told.point(values).items()}
        rows.append(row)
    return rows


def _barrier_text(key: str, values: Mapping[str, Any], told: Words) -> str:
    """Write one barrier; error rates are points of per cent."""
    if not values:
        return "–"
    value = values.get(key)
    if key == "frankle":
        return f"{percent(value)}\u202f%" if is_number(value) else plain(None)
    return told.loss_with_error(value, values.get(f"{key}_se"))
