"""A recipe's options, filled with its defaults and checked before anything is loaded."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from engine.checkpoints import stated_metadata
from engine.errors import TrainingError
from engine.training.recipes import Recipe, find_recipe

OPTIMISERS = ("adam", "sgd", "adamw")
SCHEDULES = ("constant", "cosine", "cooldown")


@dataclass(frozen=True)
class TrainOptions:
    """Everything that decides the outcome of a training, besides the machine."""

    recipe: str
    seed: int
    width: int
    optimiser: str
    rate: float
    epochs: int
    batch_size: int
    data: str
    norm: str
    shortcut: str
    depth: int = 0
    schedule: str = "constant"

    def metadata(self) -> dict[str, str]:
        """Return the options as text, for a checkpoint file's header."""
        shown = {"recipe": self.recipe, "seed": self.seed, "epochs": self.epochs}
        shown |= {"width": self.width, "optimiser": self.optimiser, "rate": self.rate}
        shown |= {"batch_size": self.batch_size, "data": Path(self.data).name}
        if self.norm != "none":
            shown["norm"] = self.norm
        if self.shortcut != "none":
            shown["shortcut"] = self.shortcut
        if self.depth:
            shown["depth"] = self.depth
        if self.schedule != own_schedule(self.optimiser):
            shown["schedule"] = self.schedule
        text = {key: str(value) for key, value in shown.items()}
        return text | stated_metadata(find_recipe(self.recipe).unseen)


def own_schedule(optimiser: str) -> str:
    """Return the schedule of an optimiser where none is asked for: the paper's."""
    return "constant" if optimiser == "adam" else "cosine"


def resolve_options(
    recipe: str,
    *,
    seed: int,
    width: int | None = None,
    optimiser: str | None = None,
    rate: float | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    data: str | Path | None = None,
    norm: str | None = None,
    shortcut: str | None = None,
    depth: int | None = None,
    schedule: str | None = None,
) -> TrainOptions:
    """Fill in the recipe's defaults and check every option.

    Raises:
        TrainingError: naming the option and what is allowed.
    """
    known = find_recipe(recipe)
    chosen = known.optimiser if optimiser is None else optimiser
    if chosen not in OPTIMISERS:
        raise TrainingError(f"There is no optimiser '{chosen}'; there are {_list(OPTIMISERS)}.")
    if chosen not in known.rates:
        raise TrainingError(
            f"{recipe} is not trained with '{chosen}'; it is with {_list(tuple(known.rates))}."
        )
    options = TrainOptions(
        recipe=recipe,
        seed=seed,
        width=known.width if width is None else width,
        optimiser=chosen,
        rate=known.rates[chosen] if rate is None else rate,
        epochs=known.epochs if epochs is None else epochs,
        batch_size=known.batch_size if batch_size is None else batch_size,
        data=known.data if data is None else str(data),
        norm=known.norms[0] if norm is None else norm,
        shortcut=known.shortcuts[0] if shortcut is None else shortcut,
        depth=known.depth if depth is None else depth,
        schedule=own_schedule(chosen) if schedule is None else schedule,
    )
    _check(options, known)
    return options


def _check(options: TrainOptions, known: Recipe) -> None:
    least_one = {
        "width": options.width,
        "number of epochs": options.epochs,
        "batch size": options.batch_size,
    }
    for name, value in least_one.items():
        if value < 1:
            raise TrainingError(f"The {name} is {value}; it must be at least 1.")
    if options.schedule not in SCHEDULES:
        raise TrainingError(
            f"There is no schedule '{options.schedule}'; there are {_list(SCHEDULES)}."
        )
    if options.seed < 0:
        raise TrainingError(f"The seed is {options.seed}; it must be 0 or more.")
    if not (math.isfinite(options.rate) and options.rate > 0):
        raise TrainingError(f"The learning rate is {options.rate}; it must be positive.")
    if options.depth < 0 or bool(options.depth) != bool(known.depth):
        allowed = "it must be at least 1" if known.depth else f"{options.recipe} has none to choose"
        raise TrainingError(f"The depth is {options.depth}; {allowed}.")
    if options.norm not in known.norms:
        raise TrainingError(
            f"{options.recipe} has no norm '{options.norm}'; it has {_list(known.norms)}."
        )
    if options.shortcut not in known.shortcuts:
        raise TrainingError(
            f"{options.recipe} has no shortcut '{options.shortcut}'; "
            f"it has {_list(known.shortcuts)}."
        )


def _list(names: tuple[str, ...]) -> str:
    return ", ".join(names)
