"""How far two sets of parameters differ as functions, on real data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.errors import SymmetryError
from engine.program import Program


@dataclass(frozen=True)
class Equivalence:
    """The largest difference of any logit (or other output); NaN where one is NaN."""

    max_abs_logit_difference: float
    max_abs_logit: float
    samples: int


def equivalence(
    program: Program,
    b: Mapping[str, Tensor],
    pi_b: Mapping[str, Tensor],
    inputs: Tensor | tuple[Tensor, ...],
    *,
    batch_size: int = 500,
) -> Equivalence:
    """Compare the logits of B and π(B), in float32 or the wider precision that they have.

    Args:
        program: the architecture of both.
        b: parameters of B.
        pi_b: parameters of π(B).
        inputs: one tensor [samples, *input shape] per input of the program, one sample or more.
        batch_size: samples at a time.

    Raises:
        SymmetryError: there are no inputs.
    """
    given = inputs if isinstance(inputs, tuple) else (inputs,)
    if not len(given[0]):
        raise SymmetryError("two models cannot be compared on no inputs")
    models = [program.named(model) for model in (b, pi_b)]
    dtype = torch.float32
    for tensor in (tensor for model in models for tensor in model.values()):
        dtype = torch.promote_types(dtype, tensor.dtype)
    b, pi_b = ({name: tensor.to(dtype) for name, tensor in model.items()} for model in models)
    differences, sizes = [], []
    with torch.inference_mode():
        for part in zip(*(tensor.split(batch_size) for tensor in given), strict=True):
            batch = [tensor.to(dtype) if tensor.is_floating_point() else tensor for tensor in part]
            logits = program(b, *batch)
            differences.append((logits - program(pi_b, *batch)).abs().max())
            sizes.append(logits.abs().max())
    return Equivalence(
        max_abs_logit_difference=float(torch.stack(differences).max()),
        max_abs_logit=float(torch.stack(sizes).max()),
        samples=len(given[0]),
    )
