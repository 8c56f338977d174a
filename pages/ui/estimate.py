"""How long the chosen run will take, said before it is asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.data.catalogue import DATASETS
from engine.figures.numbers import duration
from engine.runs import CompareSpec
from engine.runs.cost import Speed, Work, kept_speed, measured, speed_key, work_of
from pages.ui import engine_access as access
from pages.ui.pair import Pair
from pages.ui.pair_cards import architecture
from pages.ui.shown import Shown

NOTHING = "No estimate before the first run of this model on this machine."
HERE, SHOWN = "on this machine", "by the speed of the run shown"


def estimate(spec: CompareSpec, pair: Pair, shown: Shown, batch_norm: bool) -> str:
    """Return about how long a run takes, with a preview and the statistics apart.

    Args:
        spec: of the run to come.
        pair: its networks.
        shown: the run on the page, whose speed counts where none was measured on this machine.
        batch_norm: whether the networks have BatchNorm.
    """
    model = architecture(pair)
    speed, where = kept_speed(access.store().home, speed_key(model, spec.precision)), HERE
    if speed is None:
        speed, where = _of_shown(shown, model, spec.precision), SHOWN
    work = work_asked(spec, shown, batch_norm)
    if speed is None or work is None:
        return NOTHING
    return sentence(spec, speed, work, where)


def sentence(spec: CompareSpec, speed: Speed, work: Work, where: str) -> str:
    """Return the estimate in words."""
    preview = speed.preview_seconds(work)
    if spec.plane_mode == "progressive":
        fixed = speed.others + speed.sample * work.fixed
        seconds = preview if spec.plane_seconds is None else fixed + spec.plane_seconds
        text = f"About {duration(seconds)} {where}."
    else:
        text = f"About {duration(speed.seconds(work))} {where}"
        text += f"; {duration(preview)} for a 1\u202f% preview." if work.plane else "."
    if work.statistics:
        name = "REPAIR" if spec.statistics == "repair" else "BatchNorm reset"
        share = speed.sample * work.statistics
        if spec.plane_mode == "progressive":
            share *= min(1.0, seconds / speed.seconds(work))
        text += f" {name}: +{duration(share)} of it."
    return text


def work_asked(spec: CompareSpec, shown: Shown, batch_norm: bool) -> Work | None:
    """Return the work of a run; None where the size of its data is not known."""
    sizes = _sizes(spec, shown)
    if sizes is None:
        return None
    rows = spec.plane_rows or spec.plane_points
    points = spec.plane_sobol if spec.plane_mode == "sobol" else spec.plane_points * rows
    needed = spec.statistics == "repair" or (batch_norm and spec.reset is not False)
    extra = min(spec.reset_samples, sizes[1]) if needed else 0
    return work_of(points, spec.line_points, *sizes, extra)


def _sizes(spec: CompareSpec, shown: Shown) -> tuple[int, int] | None:
    """Return how many test and train samples there are."""
    info, most = DATASETS.get(spec.data.name), spec.data.samples
    if spec.data.sha256 is None and info is not None:
        whole = info.sizes["test"], info.sizes["train"]
        test, train = (size if most is None else min(most, size) for size in whole)
        return test, train
    if shown.result is None or shown.spec is None or shown.spec.data != spec.data:
        return None
    data = shown.result.summary["data"]
    return data["test"]["samples"], data["train"]["samples"]


def _of_shown(shown: Shown, model: Mapping[str, Any], precision: str) -> Speed | None:
    """Return the speed of the run shown, where it is of the same model and precision."""
    if shown.result is None or shown.spec is None or shown.spec.precision != precision:
        return None
    summary = shown.result.summary
    if (summary.get("model") or {}).get("title") != model.get("title"):
        return None
    return measured(summary, shown.result.provenance, shown.spec.line_points)
