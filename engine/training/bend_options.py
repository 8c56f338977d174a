"""What a curve between two models is trained with: its shape, its bends, its steps."""

from __future__ import annotations

from dataclasses import dataclass

from engine.errors import TrainingError
from engine.landscape.curve import BEZIER, SHAPES

OPTIMISERS = ("adam", "sgd")
MOST_BENDS = 8
MOST_RATE = 1e6


@dataclass(frozen=True)
class BendOptions:
    """Everything that decides the bends of a curve, besides its ends, the data and the machine.

    Attributes:
        shape: "bezier" or "polygon".
        bends: models between the ends that are trained, 1 to 8.
        epochs: passes over the training data.
        batch_size: samples per step; those beyond the last full batch sit an epoch out.
        optimiser: "adam", or "sgd" with momentum 0.9.
        rate: learning rate: held for half of the steps, then falling to a hundredth.
        weight_decay: of the point φ(t) that a step looks at, not of the bends: the gradient of
            ½ · weight_decay · ‖φ(t)‖² is added to the loss's, as in the authors' code.
        seed: of the order of the samples and of the places t.

    Raises:
        TrainingError: a value makes no sense.
    """

    shape: str = BEZIER
    bends: int = 1
    epochs: int = 20
    batch_size: int = 100
    optimiser: str = "adam"
    rate: float = 1e-3
    weight_decay: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.shape not in SHAPES:
            raise TrainingError(
                f"there is no curve called {self.shape!r}; there are {', '.join(SHAPES)}"
            )
        if self.optimiser not in OPTIMISERS:
            raise TrainingError(
                f"there is no optimiser {self.optimiser!r}; there are {', '.join(OPTIMISERS)}"
            )
        if not 1 <= self.bends <= MOST_BENDS:
            raise TrainingError(f"a curve takes 1 to {MOST_BENDS} bends, not {self.bends}")
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise TrainingError(f"{name} must be at least 1, not {getattr(self, name)}")
        if not 0 < self.rate <= MOST_RATE:
            raise TrainingError(
                f"the rate must be above 0 and at most {MOST_RATE:g}, not {self.rate}"
            )
        if not 0 <= self.weight_decay <= MOST_RATE:
            raise TrainingError(
                f"weight_decay must be from 0 to {MOST_RATE:g}, not {self.weight_decay}"
            )

    def steps_per_epoch(self, samples: int) -> int:
        """Return how many steps an epoch has.

        Raises:
            TrainingError: there are fewer samples than a batch takes.
        """
        if samples < self.batch_size:
            raise TrainingError(
                f"the batch size {self.batch_size} is larger than the training data ({samples} "
                "samples); take smaller batches or more samples"
            )
        return samples // self.batch_size
