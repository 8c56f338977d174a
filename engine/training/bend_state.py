"""What is kept of a curve's training under way: arrays from which it goes on, bit for bit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

_STATE = "optimiser "


@dataclass(frozen=True)
class Reached:
    """How far a training was: the losses of its steps, and why it ended early, if it did."""

    losses: tuple[float, ...]
    diverged: str | None


def state_arrays(
    bends: Tensor,
    optimiser: torch.optim.Optimizer,
    losses: Sequence[float],
    diverged: str | None,
) -> dict[str, np.ndarray]:
    """Return the bends, the optimiser's own tensors and the losses so far as arrays.

    Args:
        bends: the only parameter of the optimiser, [bends, P].
        optimiser: of the bends.
        losses: of every step taken.
        diverged: why there will be no more, or None.
    """
    arrays = {"bends": bends.detach().cpu().numpy().copy(), "losses": np.array(losses)}
    arrays["diverged"] = np.array(diverged or "")
    for name, value in optimiser.state_dict()["state"].get(0, {}).items():
        if isinstance(value, Tensor):
            arrays[_STATE + name] = value.detach().cpu().numpy().copy()
    return arrays


def restored(
    kept: Mapping[str, np.ndarray] | None,
    bends: Tensor,
    optimiser: torch.optim.Optimizer,
    steps: int,
) -> Reached | None:
    """Put what was kept into the bends and their optimiser; None where it has another form.

    Shapes, dtype and number of steps are all that is compared: who keeps it sees to it that it is
    of the same models, samples and options, as a run's own folder does.

    Args:
        kept: from `state_arrays`.
        bends, optimiser: are written to, but only by what fits.
        steps: of the whole training.
    """
    if kept is None or not {"bends", "losses", "diverged"} <= set(kept):
        return None
    stored = torch.from_numpy(np.asarray(kept["bends"]))
    losses = np.asarray(kept["losses"])
    if stored.shape != bends.shape or stored.dtype != bends.dtype or losses.ndim != 1:
        return None
    if not 0 < len(losses) <= steps:
        return None
    own = {
        name.removeprefix(_STATE): torch.from_numpy(np.asarray(value).copy())
        for name, value in kept.items()
        if name.startswith(_STATE)
    }
    with torch.no_grad():
        bends.copy_(stored)
    optimiser.load_state_dict({**optimiser.state_dict(), "state": {0: own} if own else {}})
    return Reached(tuple(losses.tolist()), str(kept["diverged"]) or None)
