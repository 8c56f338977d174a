"""Why a plane that is refined step by step stopped."""

from __future__ import annotations

from enum import Enum

P95_SHARE = 5.0
"""The 95th percentile of the errors may be so many times the median that was asked for."""


class StopReason(Enum):
    """Why no further points were evaluated; `sentence` says it to the user."""

    ACCURACY = "accuracy"
    TIME = "time"
    COMPLETE = "complete"

    @property
    def sentence(self) -> str:
        """The reason in words."""
        return {
            StopReason.ACCURACY: "Stopped at the accuracy that was asked for.",
            StopReason.TIME: "Stopped before a round of points that would not fit into the time.",
            StopReason.COMPLETE: "Every point that was asked for has been evaluated on all data.",
        }[self]
