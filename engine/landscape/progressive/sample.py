"""A sample of the data that stands for all of them: drawn, and by class where there are classes.

Data sets are often in an order (MNIST's test set is not random), so a first part is no sample.
Of a classification every class gives its share, rounded so that the shares add up (largest
remainders) and every class that is there has at least one sample; that takes the differences
between classes out of the sampling error. Tokens and values are drawn plainly.
"""

from __future__ import annotations

import torch
from torch import Tensor


def draw_sample(targets: Tensor, count: int, seed: int) -> Tensor:
    """Return which samples are drawn, distinct and ascending, int64 [count].

    Args:
        targets: int64 [N] classes, which are stratified; others are drawn plainly.
        count: how many, from the number of classes (or 1) to N.
        seed: of the draw.
    """
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(targets), generator=generator)
    if targets.ndim != 1 or targets.is_floating_point():
        return order[:count].sort().values
    classes, sizes = targets.unique(return_counts=True)
    if len(classes) > count:
        return order[:count].sort().values
    drawn = [
        order[targets[order] == one][:share]
        for one, share in zip(classes.tolist(), _shares(sizes, count), strict=True)
    ]
    return torch.cat(drawn).sort().values


def _shares(sizes: Tensor, count: int) -> list[int]:
    """Divide `count` among classes by their sizes, at least one for each."""
    spare = count - len(sizes)
    exact = (sizes - 1).double() * spare / max(int((sizes - 1).sum()), 1)
    shares = exact.floor().long()
    left = spare - int(shares.sum())
    # Ties go to the class that comes first.
    largest = torch.argsort(exact - shares, descending=True, stable=True)
    shares[largest[:left]] += 1
    return (shares + 1).tolist()
