"""The mean loss of one batch, for gradients; the task is the one that the targets ask for."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from engine.data.task import IGNORED
from engine.landscape.loss import check_outputs, check_targets


def checked_loss(outputs: Tensor, targets: Tensor, every: Tensor | None) -> Tensor:
    """Return the mean loss of a batch, a scalar in the precision of the outputs.

    Args:
        outputs: of the model, [n, …].
        targets: classes [n], tokens [n, T] (−100 is left out) or values of the outputs' shape.
        every: all targets, to be checked against the outputs; None skips the check.

    Raises:
        LandscapeError: the targets do not fit the outputs.
    """
    if every is not None:
        check_outputs(outputs.detach().unsqueeze(0), targets)
        check_targets(every, outputs.shape[-1])
    if targets.is_floating_point():
        return F.mse_loss(outputs, targets.to(outputs.dtype))
    rows = outputs.reshape(-1, outputs.shape[-1])
    return F.cross_entropy(rows, targets.reshape(-1), ignore_index=IGNORED)
