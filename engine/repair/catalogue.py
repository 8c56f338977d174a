"""The repairs by name: what each is called, what it needs and what it does.

This module imports nothing heavy, so that pages and the command line can list the repairs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType


class RepairNeeds(Enum):
    """What a repair has to see besides the models."""

    INPUTS = "samples without labels"
    TARGETS = "samples with labels"


@dataclass(frozen=True)
class Repair:
    """One thing that can be done to a merged model.

    Attributes:
        key: its name in options and results.
        title: how a sentence or a button calls it.
        needs: what it has to see; training samples, never test samples.
        sentence: what it does, for the user.
    """

    key: str
    title: str
    needs: RepairNeeds
    sentence: str


RESET = "reset"
REPAIR = "repair"
RESCALE = "rescale"
TEMPERATURE = "temperature"

REPAIRS: Mapping[str, Repair] = MappingProxyType(
    {
        repair.key: repair
        for repair in (
            Repair(
                RESET,
                "BatchNorm reset",
                RepairNeeds.INPUTS,
                "Recomputes the running means and variances of every BatchNorm on training data.",
            ),
            Repair(
                RESCALE,
                "RESCALE",
                RepairNeeds.INPUTS,
                "Scales every channel, so that it varies as much as it does in the models merged.",
            ),
            Repair(
                REPAIR,
                "REPAIR",
                RepairNeeds.INPUTS,
                "Scales and shifts every channel, so that its mean and standard deviation are "
                "between those of the models merged.",
            ),
            Repair(
                TEMPERATURE,
                "softmax temperature",
                RepairNeeds.TARGETS,
                "Divides the logits by the one number that lowers the loss on training data most. "
                "Where models know these by heart, it can raise the test loss.",
            ),
        )
    }
)
"""Key → repair, in the order in which they are applied."""
