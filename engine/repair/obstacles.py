"""Why a repair cannot apply to a model: said before anything is computed."""

from __future__ import annotations

from engine.errors import RepairError
from engine.program import Program
from engine.repair.catalogue import REPAIRS, RESET


def obstacle(key: str, program: Program) -> str | None:
    """Return why a repair cannot apply to this model, None where it can.

    Raises:
        RepairError: there is no such repair.
    """
    if key not in REPAIRS:
        raise RepairError(f"There is no repair {key!r}; the repairs are {', '.join(REPAIRS)}.")
    if key == RESET:
        if not program.batch_norms:
            return (
                "The model has no BatchNorm with running statistics, so there is nothing to reset."
            )
        return None
    return f"{REPAIRS[key].title} is not available yet."
