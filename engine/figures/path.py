"""A path between two models in words and tables: what the curve does to the barrier.

By Git Re-Basin's definition on test data, for the straight line and for the curve alike: the
largest loss on the way over the mean of the two ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.figures.headline import free_of_barrier, whole_percent
from engine.figures.numbers import count, is_number, power_of_ten
from engine.figures.task import Words, words

Summary = Mapping[str, Any]
LINES: Mapping[str, str] = {"line": "straight line", "path": "curve"}
SHAPES: Mapping[str, str] = {"bezier": "Bézier curve", "polygon": "polygonal chain"}
OFF_ITS_BENDS = (
    "A Bézier curve is drawn towards its bends and does not pass through them: their own loss may "
    "be high."
)
BENDS_ON_IT = "A polygonal chain passes through its bends."


def path_headline(summary: Summary) -> str:
    """Say in one sentence what the curve does to the barrier, for each end."""
    paths = {key: path for key, path in paths_of(summary).items() if path.get("barriers")}
    if not paths:
        return "A curve between the two networks is being trained"
    first, *others = (_verdict(path, words(summary)) for path in paths.values())
    rest = [sentence[0].lower() + sentence[1:] for sentence in others]
    return "; ".join([first, *rest])


def paths_of(summary: Summary) -> dict[str, Mapping[str, Any]]:
    """Return the curves of a result by the key of their end."""
    return dict(summary.get("paths") or {})


def path_detail(summary: Summary) -> str:
    """Return the small print: what was trained, how, on what."""
    training, data = summary.get("training") or {}, summary.get("data") or {}
    if not training or not data:
        return ""
    bends = "one bend" if training["bends"] == 1 else f"{training['bends']} bends"
    steps = next(iter(paths_of(summary).values()), {}).get("training", {}).get("steps")
    taken = "" if steps is None else f", {count(steps)} steps"
    optimiser = {"adam": "Adam", "sgd": "SGD"}[training["optimiser"]]
    decay = training["weight_decay"]
    more = f", weight decay {decay:g} of the point" if decay else ""
    return (
        f"{SHAPES[training['shape']]} of {bends}; {optimiser} at {training['rate']:g}{more}, "
        f"{count(training['epochs'])} epochs of {count(data['train']['samples'])} training samples "
        f"in batches of {count(training['batch_size'])}{taken}, seed {training['seed']}."
    )


def path_proof(summary: Summary) -> str | None:
    """Say why the training of a curve ended early, None where none did."""
    told = [path["training"]["diverged"] for path in paths_of(summary).values()]
    return " ".join(sentence for sentence in told if sentence) or None


def barrier_table(summary: Summary) -> list[dict[str, str]]:
    """Return a row per way: barriers, the middle, the length."""
    told, rows = words(summary), []
    for path in paths_of(summary).values():
        for line, title in LINES.items():
            row = {"way": f"{title} A → {path['end']}"}
            for split in ("test", "train"):
                barrier = path["barriers"][line][split]
                row[f"{split} barrier"] = told.loss_with_error(
                    barrier["git_rebasin"], barrier["git_rebasin_se"]
                )
            middle = path["midpoints"][line]["test"]
            row["middle: test loss"] = told.loss(middle["loss"])
            row |= {f"middle: test {name}": text for name, text in told.point(middle).items()}
            lengths = path["lengths"]
            row["length"] = _length(lengths["straight" if line == "line" else "curve"])
            rows.append(row)
    return rows


def model_table(summary: Summary) -> list[dict[str, str]]:
    """Return a row per network: the ends and every bend, with how far it is from the line."""
    told, rows = words(summary), []
    for path in paths_of(summary).values():
        bends = path["bends"]
        names = ["A", *_bend_names(path), path["end"]]
        for place, (name, own) in enumerate(zip(names, path["models"], strict=True)):
            if place == 0 and rows:
                continue
            row = {"network": name}
            for split in ("test", "train"):
                row[f"{split} loss"] = told.loss_with_error(
                    own[split]["loss"], own[split]["loss_se"]
                )
                row |= {f"{split} {n}": text for n, text in told.point(own[split]).items()}
            between = 0 < place < len(names) - 1
            off = bends[place - 1]["off_line"] if between else None
            row["distance from the line"] = _length(off) if between else "–"
            rows.append(row)
    return rows


def checks_sentence(path: Mapping[str, Any]) -> str:
    """Return what was measured on the plane of a curve, and how far the curve leaves it."""
    plane = path.get("plane") or {}
    if "positions" not in plane:
        return str(plane.get("problem") or "")
    several = len(path["bends"]) > 1
    which = f"bend {plane['through']}, the furthest from the line" if several else "the bend"
    off = plane["curve_off"]
    lies = (
        f"the curve drawn is its projection: it leaves the plane by up to {off:.2g} of the ends' "
        "distance"
        if several
        else "the whole curve lies in it"
    )
    sentence = f"The plane goes through A, {path['end']} and {which}; {lies}."
    if plane.get("corner_difference") is None or plane.get("orthonormality") is None:
        return sentence
    angle = plane.get("angle_degrees")
    turned = f", angle at A {angle:.1f}°" if is_number(angle) else ""
    return (
        f"{sentence} Checks: basis orthonormal to {power_of_ten(plane['orthonormality'])}, corners "
        f"equal their networks to {power_of_ten(plane['corner_difference'])}, unit "
        f"{_length(plane['unit'])}{turned}."
    )


def _verdict(path: Mapping[str, Any], told: Words) -> str:
    end = path["end"]
    if (path.get("training") or {}).get("diverged"):
        return f"The training of the curve from A to {end} diverged"
    line, curve = (path["barriers"][key]["test"] for key in LINES)
    before, after = line["git_rebasin"], curve["git_rebasin"]
    if not is_number(before) or not is_number(after):
        where = "straight line" if not is_number(before) else "curve"
        return f"The loss diverges on the {where} from A to {end}"
    arrow = f"{told.loss(before, 2)} → {told.loss(after, 2)}"
    if free_of_barrier(line, told.small):
        return f"There is no barrier between A and {end} to begin with: {arrow}"
    if free_of_barrier(curve, told.small):
        return f"A curve joins A and {end} where the straight line has a barrier: {arrow}"
    if after < before:
        share = whole_percent(1 - after / before)
        return f"The curve from A to {end} avoids {share}\u202f% of the barrier: {arrow}"
    return f"The curve from A to {end} does not avoid the barrier: {arrow}"


def _bend_names(path: Mapping[str, Any]) -> list[str]:
    if len(path["bends"]) == 1:
        return [f"bend to {path['end']}"]
    return [f"bend {k} to {path['end']}" for k in range(1, len(path["bends"]) + 1)]


def _length(value: float | None) -> str:
    return f"{value:.3g}" if is_number(value) else "not a number"
