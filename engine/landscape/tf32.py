"""TF32 on CUDA: products of float32 whose factors keep 10 bits of significand.

torch lets cuDNN's convolutions use it unless told otherwise, which costs losses about three
digits; an evaluation therefore says each time whether it may be used, and by default it may not.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def tf32_products(allowed: bool, device: torch.device | str) -> Iterator[None]:
    """Allow or forbid TF32 within; what was set before is set again after. Other devices: nothing.

    Args:
        allowed: whether matrix products and convolutions may use it.
        device: where they run.
    """
    if torch.device(device).type != "cuda":
        yield
        return
    # torch says what a setting of its own newer names was even where the older ones were used;
    # the other way around it raises.
    cudnn: Any = torch.backends.cudnn
    places: tuple[Any, ...] = (torch.backends.cuda.matmul, cudnn.conv, cudnn.rnn)
    before = [place.fp32_precision for place in places]
    try:
        for place in places:
            place.fp32_precision = "tf32" if allowed else "ieee"
        yield
    finally:
        for place, value in zip(places, before, strict=True):
            place.fp32_precision = value
