"""What a kept piece of work answers: a digest of everything that its content depends on.

Kept beside the piece and compared before it is used, so that what another model, other samples or
other options left under the same key is computed again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

FIELD = "question"

Part = str | Mapping[str, Tensor]


def question_of(*parts: Part) -> str:
    """Return the digest of some texts and models, hexadecimal.

    Args:
        parts: texts, and tensors by name, in an order of the caller's own.
    """
    sha = hashlib.sha256()
    for part in parts:
        if isinstance(part, str):
            _add(sha, part.encode())
            continue
        for name in sorted(part):
            tensor = part[name].detach().to("cpu").contiguous()
            _add(sha, f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
            _add(sha, tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return sha.hexdigest()


def asked(arrays: Mapping[str, np.ndarray], question: str) -> dict[str, np.ndarray]:
    """Return a piece as it is kept: with the question that it answers."""
    return {**arrays, FIELD: np.array(question)}


def answers(arrays: Mapping[str, np.ndarray] | None, question: str) -> bool:
    """Say whether a kept piece answers a question."""
    return arrays is not None and FIELD in arrays and str(arrays[FIELD]) == question


def _add(sha: hashlib._Hash, content: bytes) -> None:
    sha.update(len(content).to_bytes(8, "big"))
    sha.update(content)
