"""Expected calibration error: by how much confidence and accuracy differ.

Samples are sorted into bins of equal width by the probability of the class that they are given;
the error is the mean over bins of |accuracy − mean confidence|, weighted by the number of samples
(Naeini et al. 2015; Guo et al. 2017, arXiv 1706.04599, equation 3, with 15 bins).
"""

from __future__ import annotations

import torch
from torch import Tensor

from engine.errors import RepairError

BINS = 15


def calibration_error(probabilities: Tensor, targets: Tensor, bins: int = BINS) -> float:
    """Return the expected calibration error, between 0 and 1; NaN where a probability is NaN.

    Args:
        probabilities: of every class, [N, C], rows summing to 1.
        targets: classes, int64 [N].
        bins: how many bins the range from 0 to 1 is divided into.

    Raises:
        RepairError: there are no samples, or not one target for each.
    """
    if probabilities.ndim != 2 or len(probabilities) != len(targets) or len(targets) == 0:
        raise RepairError(
            f"A calibration error needs probabilities [N, C] and one class for each of the N "
            f"samples; the shapes are {list(probabilities.shape)} and {list(targets.shape)}."
        )
    confidence, chosen = probabilities.double().max(1)
    return binned_error(confidence, (chosen == targets).double(), bins)


def binned_error(confidence: Tensor, correct: Tensor, bins: int = BINS) -> float:
    """Return the error from confidences and hits (0 or 1), both float64 [N]."""
    if bool(confidence.isnan().any()):
        return float("nan")
    # Bins are open below and closed above, as in the paper; 0 belongs to the first.
    index = ((confidence * bins).ceil().long() - 1).clamp(0, bins - 1)
    sums = torch.zeros(2, bins, dtype=torch.float64, device=confidence.device)
    sums[0].index_add_(0, index, confidence)
    sums[1].index_add_(0, index, correct)
    return float((sums[1] - sums[0]).abs().sum() / len(confidence))
