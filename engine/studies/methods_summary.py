"""The summary and arrays of a comparison of methods: one row per method and set of repairs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from engine.data import Dataset
from engine.data.task import REGRESSION
from engine.repair.catalogue import REPAIRS
from engine.studies import summary as summaries
from engine.studies.edges import SPLITS, barrier_summary, point_summary
from engine.studies.methods_options import PLAIN
from engine.studies.methods_trial import Trial
from engine.studies.task import baseline
from engine.studies.tiles import QUANTITIES

Json = dict[str, Any]


def method_summaries(trials: Mapping[str, Trial]) -> list[Json]:
    """Return what each method found, in the order in which they were tried."""
    first: dict[str, str] = {}
    found = []
    for name, trial in trials.items():
        same_as = first.setdefault(trial.digest, name) if trial.permutation is not None else name
        entry: Json = {
            "id": name,
            "key": trial.choice.key if trial.choice else None,
            "title": trial.title,
            "options": dict(trial.choice.options) if trial.choice else {},
            "problem": trial.problem,
            "same_as": None if same_as == name else same_as,
            "matching": None,
            "equivalence": None,
            "details": {},
        }
        if trial.found is not None:
            matching = summaries.matching_summary(trial.found.alignment)
            entry["matching"] = {**matching, "method": trial.title}
            entry["details"] = dict(trial.found.details)
        if trial.same is not None:
            entry["equivalence"] = summaries.equivalence_summary(trial.same)
        found.append(entry)
    return found


def rows_and_arrays(
    trials: Mapping[str, Trial],
    variants: Mapping[str, tuple[str, ...]],
    lambdas: np.ndarray,
    data: Mapping[str, Dataset],
) -> tuple[list[Json], dict[str, np.ndarray]]:
    """Return one row per line, and arrays whose first axis goes with them.

    Args:
        trials: by id, those that are finished.
        variants: name → repairs.
        lambdas: [n].
        data: by split.

    Returns:
        Rows, and `{split}_{quantity}` [rows, n] with `lambdas` [n]; a line that could not be
        evaluated is NaN and its row says why.
    """
    middle = len(lambdas) // 2
    references = {s: baseline(d) if d.task is REGRESSION else None for s, d in data.items()}
    rows: list[Json] = []
    arrays = {f"{split}_{name}": [] for split in SPLITS for name in QUANTITIES}
    nothing = np.full(len(lambdas), np.nan)
    for name, trial in trials.items():
        for variant, repairs in variants.items():
            problem = trial.problem or trial.problems.get(variant)
            row: Json = {"method": name, "variant": variant, "repairs": list(repairs)}
            row |= {"problem": problem, "barriers": {}, "midpoint": {}}
            for split in SPLITS:
                curve = trial.curves.get((variant, split))
                if curve is not None:
                    row["barriers"][split] = barrier_summary(lambdas, curve)
                    task, reference = data[split].task, references[split]
                    row["midpoint"][split] = point_summary(curve, middle, task, reference)
                for quantity in QUANTITIES:
                    values = nothing if curve is None else curve[quantity]
                    arrays[f"{split}_{quantity}"].append(values)
            rows.append(row)
            if trial.problem is not None:
                break  # said once, not once per variant
    return rows, {"lambdas": lambdas, **{name: np.stack(v) for name, v in arrays.items()}}


def repair_summary(
    wanted: tuple[str, ...], impossible: Mapping[str, str], variants: Mapping[str, tuple[str, ...]]
) -> Json:
    """Return the repairs asked for, those that the model cannot have, and the variants."""
    titles = {
        name: "no repair" if name == PLAIN else " + ".join(REPAIRS[key].title for key in keys)
        for name, keys in variants.items()
    }
    return {
        "wanted": list(wanted),
        "impossible": dict(impossible),
        "variants": [
            {"id": name, "title": titles[name], "repairs": list(keys)}
            for name, keys in variants.items()
        ],
    }
