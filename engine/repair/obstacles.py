"""Why a repair cannot apply to a model: said before anything is computed."""

from __future__ import annotations

from engine.errors import RepairError
from engine.program import Program
from engine.repair.catalogue import REPAIRS, RESET, TEMPERATURE
from engine.repair.sites import find_sites


def obstacle(key: str, program: Program) -> str | None:
    """Return why a repair cannot apply to this model, None where it can.

    Raises:
        RepairError: there is no such repair.
    """
    if key not in REPAIRS:
        raise RepairError(f"There is no repair {key!r}; the repairs are {', '.join(REPAIRS)}.")
    if key == TEMPERATURE:
        return None
    if key == RESET:
        if program.batch_norms:
            return None
        return "The model has no BatchNorm with running statistics, so there is nothing to reset."
    sites = find_sites(program)
    if sites.hidden:
        return None
    reasons = " ".join(sites.left_alone) or "It has no hidden linear layer, convolution or norm."
    return f"{REPAIRS[key].title} finds no layer whose channels it could scale. {reasons}"
